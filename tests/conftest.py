import torch

# the networks here are so small that more threads only wait for each other
torch.set_num_threads(1)
