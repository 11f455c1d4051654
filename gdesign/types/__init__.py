"""The values that cross rooms: tasks, pools, designs, requests, runs, outcomes.

Each is frozen, slotted and keyword-only. None holds a tensor: whoever runs a design needs no machine-learning stack.
"""

from gdesign.types.call import Label, Message, Origin, Reply, Request, Usage, sample_index, seed_and_copy
from gdesign.types.design import Agent, Decision, Design, Edge, Gate, Heard
from gdesign.types.pool import LLM, AgentPool, Candidate, Role
from gdesign.types.run import Extract, Foreseeing, Grade, Job, Outcome, Play, Policy, Run, Turn
from gdesign.types.task import Task
from gdesign.types.wave import Branch, Move, Stop, Wave

__all__ = [
    "LLM",
    "Agent",
    "AgentPool",
    "Branch",
    "Candidate",
    "Decision",
    "Design",
    "Edge",
    "Extract",
    "Foreseeing",
    "Gate",
    "Grade",
    "Heard",
    "Job",
    "Label",
    "Message",
    "Move",
    "Origin",
    "Outcome",
    "Play",
    "Policy",
    "Reply",
    "Request",
    "Role",
    "Run",
    "Stop",
    "Task",
    "Turn",
    "Usage",
    "Wave",
    "sample_index",
    "seed_and_copy",
]
