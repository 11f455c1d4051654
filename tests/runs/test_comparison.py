from gdesign.runs.comparison import said


def beside(difference):
    return {"difference": difference, "interval": [difference - 0.1, difference + 0.1]}


def test_what_was_found_is_said_in_a_line():
    validation = {"single": beside(-0.5), "seen": beside(-0.05)}
    comparison = {"deployed": "learned", "validation": validation, "evaluated": {"single": beside(0.2)}}
    assert said(comparison) == (
        "the learned designer is 0.2000 better (0.1000 to 0.3000) than the best single agent, 0.0500 worse (-0.0500 to "
        "0.1500) than the best design seen in training on validation"
    )


def test_what_is_deployed_instead_is_named():
    comparison = {"deployed": "seen", "validation": {}, "evaluated": {"seen": beside(-0.2)}}
    assert said(comparison).endswith("; the best design seen in training is deployed in its place")
