"""The data files that gdesign knows: what each holds, where it comes from, under which licence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One data file, unmodified from its origin or derived from it.

    Attributes:
        path: Relative to the data folder.
        sha256: Of the file.
        origin: The repository it comes from.
        commit: The state of the repository.
        licence: That of the repository or, where it carries another's data, of the data.
        rows: Number of rows; None where it has none.
        upstream: Path in the repository of an unmodified file; empty for a derived one.
        content_sha256: Of the upstream file, where ours is that file gzipped; empty otherwise.
        derived: What a derived file was made from; empty for an unmodified one.
    """

    path: str
    sha256: str
    origin: str
    commit: str
    licence: str
    rows: int | None = None
    upstream: str = ""
    content_sha256: str = ""
    derived: str = ""

    @property
    def url(self) -> str:
        """Return where the unmodified file can be had; empty for a derived one."""
        if not self.upstream:
            return ""
        return f"{self.origin.replace('github.com', 'raw.githubusercontent.com')}/{self.commit}/{self.upstream}"


FILES: tuple[DataFile, ...] = (
    DataFile(
        path="bench/HumanEval.jsonl.gz",
        sha256="b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
        rows=164,
        origin="https://github.com/openai/human-eval",
        commit="6d43fb9",
        licence="MIT",
        upstream="data/HumanEval.jsonl.gz",
    ),
    DataFile(
        path="bench/aqua_dev.jsonl.gz",
        sha256="c466bf8a4d9eebac70af78cce9c0d5f234847d9c10d58e200de9dde3d2f8f9df",
        rows=254,
        origin="https://github.com/google-deepmind/AQuA",
        commit="26b64ed",
        licence="Apache-2.0",
        upstream="dev.json",
        content_sha256="4a52301d8a49ae0b286f8e697f9c5da1b109b247b825b47b4c6de34312dceec5",
    ),
    DataFile(
        path="bench/aqua_test.jsonl.gz",
        sha256="49865994502d8ef2648ca0e35da8232e34a60235dc8fa5789dd7c8d5aadced96",
        rows=254,
        origin="https://github.com/google-deepmind/AQuA",
        commit="26b64ed",
        licence="Apache-2.0",
        upstream="test.json",
        content_sha256="de41581881ef95c5588c44ddc701c77fd480839241dd422a0d181262af24520c",
    ),
    DataFile(
        path="bench/gsm8k_test.jsonl.gz",
        sha256="bb13a52c31b1fa4805ebab294dce067e337ccd4b61c3e6461c85c92965282c62",
        rows=1_319,
        origin="https://github.com/openai/grade-school-math",
        commit="3101c7d",
        licence="MIT",
        upstream="grade_school_math/data/test.jsonl",
        content_sha256="3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    ),
    DataFile(
        path="bench/gsm8k_train.jsonl.gz",
        sha256="d52a31668743a4f18e4a284514e54eea07a06ae31fcf4293af2506c198c05bda",
        rows=7_473,
        origin="https://github.com/openai/grade-school-math",
        commit="3101c7d",
        licence="MIT",
        upstream="grade_school_math/data/train.jsonl",
        content_sha256="17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    ),
    DataFile(
        path="bench/math500.jsonl.gz",
        sha256="f07ed38613fb7897a59423a841d8ab2bb288eba639fbf3ecf1ff3e2bc9c76419",
        rows=500,
        origin="https://github.com/ZubinGou/math-evaluation-harness",
        commit="db77bc6",
        licence="MIT",
        upstream="data/math_oai/test.jsonl",
        content_sha256="35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132",
    ),
    DataFile(
        path="bench/mbpp.jsonl.gz",
        sha256="29845b0dc86965fbbab7505194f48ab10913fb473fe1c8283672002d2cd7ee94",
        rows=974,
        origin="https://github.com/ulab-uiuc/FusionFactory",
        commit="ef62645",
        licence="CC-BY-4.0",
        upstream="dataset/mbpp.jsonl",
        content_sha256="ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
    ),
    DataFile(
        path="bench/mmlu.zip",
        sha256="9e2b2d78bf59d80baf271a13005568ef0aca17bd663f2e5ebfecdc07a68f0edc",
        origin="https://github.com/jincan333/MAS-TTS",
        commit="ae8f961",
        licence="MIT",
        upstream="LLaMA-Factory/evaluation/mmlu/mmlu.zip",
    ),
    DataFile(
        path="bench/multiarith.json.gz",
        sha256="f87f8a972914254ee404e7ca354e68c02ba0e8d487a0f39524906e30cf4b8c83",
        rows=600,
        origin="https://github.com/AGI-Edgerunners/LLM-Adapters",
        commit="8166572",
        licence="Apache-2.0",
        upstream="dataset/MultiArith/MultiArith.json",
        content_sha256="dc9db1b6cc68b1ecc2dec830d15aaf8c9a0932aa31d5ffce88ef3628179d36f4",
    ),
    DataFile(
        path="bench/svamp.json.gz",
        sha256="d770c80be7dd5837d0cb3d176db6373ff99e41d8471c0f2591467944d380ec2f",
        rows=1_000,
        origin="https://github.com/arkilpatel/SVAMP",
        commit="689d7cc",
        licence="MIT",
        upstream="SVAMP.json",
        content_sha256="5be77703a6d891ae476d7c082787ad361392aa02453b132516cdd5f4e7934e3e",
    ),
    DataFile(
        path="multiagent/calibration.json",
        sha256="143143dee0f1ee61680c729e3015ae18f3a750f40cd6f0e8fd881a10cca56fe3",
        origin="https://github.com/SALT-NLP/DyLAN",
        commit="572341b",
        licence="facts",
        derived="logistic fits and counts over the recorded debates below",
    ),
    DataFile(
        path="multiagent/dylan_humaneval_agents.csv.gz",
        sha256="e8f675c90199574317c2c4e68025062dc099d92aaa78aea23782369bf139dc4a",
        rows=3_206,
        origin="https://github.com/SALT-NLP/DyLAN",
        commit="572341b",
        licence="MIT",
        derived="each agent's program, run against the HumanEval tests (exp/HumanEval/*/*.json)",
    ),
    DataFile(
        path="multiagent/dylan_math_runs.jsonl.gz",
        sha256="17a2f52991227d1cb4a543414b312bd3f8da752dc082954ae6860f4bdfad33b8",
        rows=5_547,
        origin="https://github.com/SALT-NLP/DyLAN",
        commit="572341b",
        licence="MIT",
        derived="answers and token counts of the debates in exp/MATH/{CoT,Complex}/*.json",
    ),
    DataFile(
        path="multiagent/dylan_mmlu_runs.jsonl.gz",
        sha256="e2d7b32ebdfe0cdba6b70edf45d0d144b6a2a1e8ab15438d2a159aa6b790e6e6",
        rows=9_136,
        origin="https://github.com/SALT-NLP/DyLAN",
        commit="572341b",
        licence="MIT",
        derived="answers of the debates in exp/MMLU/mmlu_optimal7_{2,3,4,7}/*, reference answers inferred",
    ),
    DataFile(
        path="multiagent/reflexion_gpt4.csv.gz",
        sha256="e5f8228bd4c058293d7289a44fa2c86e4e4594d1424fa0af9d9ee74a6d0ac396",
        rows=1_519,
        origin="https://github.com/noahshinn/reflexion",
        commit="218cf0e",
        licence="MIT",
        derived="solved flags of programming_runs/root/*",
    ),
    DataFile(
        path="multiagent/who_and_when.jsonl.gz",
        sha256="7ffe3b10fb5cd62a3f5534366f2ff1336355e709b26c7b151bae478ced299ce7",
        rows=184,
        origin="https://github.com/ag2ai/Agents_Failure_Attribution",
        commit="f4d2b6d",
        licence="MIT",
        derived="the failure logs in Who&When/*, every step cut to 600 characters",
    ),
    DataFile(
        path="peers/debatellm_accuracy_cost.csv",
        sha256="553ac64d682767c2a06ee40fa743769a1c2c05644622c41c113d9d0af5c009c3",
        rows=50,
        origin="https://github.com/instadeepai/DebateLLM",
        commit="6af602b",
        licence="Apache-2.0",
        derived="the table that scripts/full_results_table.ipynb prints",
    ),
    DataFile(
        path="peers/published_numbers.json",
        sha256="3f5af03fae2f5e386036e96eac64cb600a70d6846a0908866d6d50557697d0cd",
        origin="https://github.com/lm-sys/RouteLLM",
        commit="0b64fda",
        licence="facts",
        derived="numbers that papers print (RouteLLM, arXiv 2406.18665v4, and others), each with its source",
    ),
    DataFile(
        path="routing/llmrouter/llm_candidates.json",
        sha256="278f790564efd758ab28a9b6ce141d3fa057219de9bad40b31562c4286549552",
        origin="https://github.com/ulab-uiuc/LLMRouter",
        commit="4e7a796",
        licence="MIT",
        derived="model list of the repository",
    ),
    DataFile(
        path="routing/llmrouter/test.jsonl.gz",
        sha256="9b187e3198706e45aff3cfe07a0bf5d673087ad3c027f6aad77c2f9c79bfea8c",
        rows=500,
        origin="https://github.com/ulab-uiuc/LLMRouter",
        commit="4e7a796",
        licence="MIT",
        derived="data/dcrouter_preprocessed/test.json with task names joined",
    ),
    DataFile(
        path="routing/llmrouter/train.jsonl.gz",
        sha256="74972f642e5b799bd46b3f87145201e9e82bedc6cd93c23fb51ec55e017e336a",
        rows=5_608,
        origin="https://github.com/ulab-uiuc/LLMRouter",
        commit="4e7a796",
        licence="MIT",
        derived="data/dcrouter_preprocessed/train.json with its commas mended and task names joined",
    ),
    DataFile(
        path="routing/mmlu_pro/questions.jsonl.gz",
        sha256="835dca6f477deb4a57eb553a42f04da85c61718d2cf12ac6dd5bc5a75a5de6c6",
        rows=11_984,
        origin="https://github.com/TIGER-AI-Lab/MMLU-Pro",
        commit="f418b11",
        licence="Apache-2.0",
        derived="eval_results/model_outputs_*_5shots.zip, questions that differ between files left out",
    ),
    DataFile(
        path="routing/mmlu_pro/results.csv.gz",
        sha256="6da2e7074f22b2567193e7e3c3200714fa1a3a2ae707712b3fc48a992774e420",
        rows=345_824,
        origin="https://github.com/TIGER-AI-Lab/MMLU-Pro",
        commit="f418b11",
        licence="Apache-2.0",
        derived="eval_results/model_outputs_*_5shots.zip, questions that differ between files left out",
    ),
    DataFile(
        path="routing/prices.csv",
        sha256="adad5af4bc88fc703e849be7152adaea312eab11b8009212298f80c1b6e7f0cc",
        rows=87,
        origin="https://github.com/BerriAI/litellm",
        commit="v1.53.1",
        licence="MIT",
        derived="list prices (litellm 1.53.1, November 2024; RouteLLM, appendix D); open models by size tier",
    ),
    DataFile(
        path="routing/routellm/gsm8k.csv.gz",
        sha256="49ac1d1ae839f6f797948a6af54618f366de7670b51d81a476cd7ece0105b701",
        rows=1_319,
        origin="https://github.com/lm-sys/RouteLLM",
        commit="0b64fda",
        licence="Apache-2.0",
        derived="routellm/evals/gsm8k/gsm8k_responses.csv, re-graded",
    ),
    DataFile(
        path="routing/routellm/gsm8k_responses_raw.csv.gz",
        sha256="98ec4c9181e00830559743ef4946c17fc46cb2f8fdfb8b3c130cda5fbfed9d9d",
        rows=1_319,
        origin="https://github.com/lm-sys/RouteLLM",
        commit="0b64fda",
        licence="Apache-2.0",
        upstream="routellm/evals/gsm8k/gsm8k_responses.csv",
        content_sha256="1f38ed03db354a020f71e92022383dc3cf37bbf2694dea4daaeea7b6c43fe57b",
    ),
    DataFile(
        path="routing/routellm/mmlu.csv.gz",
        sha256="8aa166c886c15606ac02659c8d8359e5fa5eae16fcb048a118f8d4b7af65aa26",
        rows=14_042,
        origin="https://github.com/lm-sys/RouteLLM",
        commit="0b64fda",
        licence="Apache-2.0",
        derived="routellm/evals/mmlu/responses/*.csv, reference answers joined from bench/mmlu.zip",
    ),
    DataFile(
        path="routing/routellm/mt_bench.csv.gz",
        sha256="54b338f08fd67aa13b3726791b69c50fafbcf00e647b83a94d3c70b06074ae42",
        rows=320,
        origin="https://github.com/lm-sys/RouteLLM",
        commit="0b64fda",
        licence="Apache-2.0",
        derived="routellm/evals/mt_bench/*.jsonl",
    ),
    DataFile(
        path="routing/zeroeval/crux.questions.jsonl.gz",
        sha256="dec39d6ef8d18d8128b6343a5d80e3cc37893b60df8f614afe5d8f32d46ba9e6",
        rows=800,
        origin="https://github.com/WildEval/ZeroEval",
        commit="8c1485e",
        licence="Apache-2.0",
        derived="result_dirs/crux/*.json, re-graded by the repository's rule, tokens counted with cl100k",
    ),
    DataFile(
        path="routing/zeroeval/crux.results.csv.gz",
        sha256="62ea938faca6a2b62f79a37330924438abf68107f6d5956a8f28bfbe7329808c",
        rows=40_800,
        origin="https://github.com/WildEval/ZeroEval",
        commit="8c1485e",
        licence="Apache-2.0",
        derived="result_dirs/crux/*.json, re-graded by the repository's rule, tokens counted with cl100k",
    ),
    DataFile(
        path="routing/zeroeval/gsm.questions.jsonl.gz",
        sha256="e904778307f16da1a78dc07d4d940f1f838af28da078717e00cbe9f6c15b56ab",
        rows=1_319,
        origin="https://github.com/WildEval/ZeroEval",
        commit="8c1485e",
        licence="Apache-2.0",
        derived="result_dirs/gsm/*.json, re-graded by the repository's rule, tokens counted with cl100k",
    ),
    DataFile(
        path="routing/zeroeval/gsm.results.csv.gz",
        sha256="920e9aa99502702baef3a1fc96f1cdd49e04750dad39dc0bd55179595bc935d3",
        rows=57_398,
        origin="https://github.com/WildEval/ZeroEval",
        commit="8c1485e",
        licence="Apache-2.0",
        derived="result_dirs/gsm/*.json, re-graded by the repository's rule, tokens counted with cl100k",
    ),
    DataFile(
        path="routing/zeroeval/math-l5.questions.jsonl.gz",
        sha256="d2b0a2c64e23bbc55a0e7099e6db79bcdfc29f962a9afbc578070c5f20a9d98a",
        rows=721,
        origin="https://github.com/WildEval/ZeroEval",
        commit="8c1485e",
        licence="Apache-2.0",
        derived="result_dirs/math-l5/*.json, re-graded by the repository's rule, tokens counted with cl100k",
    ),
    DataFile(
        path="routing/zeroeval/math-l5.results.csv.gz",
        sha256="4ff59c0ce0170a1c70a7a9f471554df721e22b9a7877541e3eac6ca7c805f5cf",
        rows=30_692,
        origin="https://github.com/WildEval/ZeroEval",
        commit="8c1485e",
        licence="Apache-2.0",
        derived="result_dirs/math-l5/*.json, re-graded by the repository's rule, tokens counted with cl100k",
    ),
)
"""All known files, by path."""
