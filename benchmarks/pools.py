"""A pool of any size, and the simulated world of its agents."""

from pathlib import Path

import yaml

ROLES = {"assistant": "", "mathematician": "mathematics", "programmer": "code", "historian": "knowledge"}


def pool(path: Path, num_llms: int) -> tuple[str, ...]:
    """Write a pool of four roles and so many LLMs; return the overrides that name it and its world."""
    llms = [
        {
            "name": f"llm-{i}",
            "profile": f"a model of the {i}th size",
            "usd_per_1M_input": 0.1 * 1.25**i,
            "usd_per_1M_output": 0.4 * 1.25**i,
        }
        for i in range(num_llms)
    ]
    roles = [{"name": name, "profile": f"You are a {name}.", "domain": domain} for name, domain in ROLES.items()]
    path.write_text(yaml.safe_dump({"roles": roles, "llms": llms}))
    ability = "_target_:gdesign.llm.simulated.Ability"
    abilities = ",".join(
        f"llm-{i}:{{{ability},mathematics:{level},code:{level},knowledge:{level},weighing:0.5,tokens:100}}"
        for i in range(num_llms)
        for level in [round(1.0 + 3.5 * i / max(1, num_llms - 1), 3)]
    )
    world = f"+llm.world={{_target_:gdesign.llm.simulated.World,_convert_:all,abilities:{{{abilities}}}}}"
    return ("pool=file", f"pool.path={path}", "llm=simulated", world)
