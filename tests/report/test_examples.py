from gdesign.export.schema import design_to_json
from gdesign.report.examples import examples
from gdesign.types import Agent, Design
from tests.report.test_document import ROW


def test_the_frequent_the_cheapest_and_the_dearest_design_are_examples_where_hardness_is_unknown():
    designs = [design_to_json(Design(agents=(Agent(role="solver", llm=llm),))) for llm in "abc"]
    rows = [ROW | {"task": str(i), "design": designs[k], "usd": u} for i, (k, u) in enumerate([(1, 2), (1, 2), (0, 1)])]
    rows.append(ROW | {"task": "9", "design": designs[2], "usd": 3})
    found = examples(rows)
    assert [e.design.agents[0].llm for e in found] == ["b", "a", "c"]
    assert found[0].title == "2 of 4 questions"
    assert "cheapest" in found[1].title
    assert "dearest" in found[2].title
