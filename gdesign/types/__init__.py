"""The values that cross rooms: tasks, pools, designs, requests, runs, outcomes.

Each is frozen, slotted and keyword-only. None holds a tensor: whoever runs a design needs no machine-learning stack.
"""

from gdesign.types.call import Label, Message, Origin, Reply, Request, Usage, sample_index, seed_and_copy
from gdesign.types.design import Agent, Decision, Design, Edge, Gate, Heard
from gdesign.types.pool import LLM, AgentPool, Candidate, Role
from gdesign.types.run import Extract, Grade, Job, Outcome, Run, Turn
from gdesign.types.task import Task

__all__ = [
    "LLM",
    "Agent",
    "AgentPool",
    "Candidate",
    "Decision",
    "Design",
    "Edge",
    "Extract",
    "Gate",
    "Grade",
    "Heard",
    "Job",
    "Label",
    "Message",
    "Origin",
    "Outcome",
    "Reply",
    "Request",
    "Role",
    "Run",
    "Task",
    "Turn",
    "Usage",
    "sample_index",
    "seed_and_copy",
]
