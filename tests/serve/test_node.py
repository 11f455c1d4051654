"""Clients of other languages: the openai SDK for node and Vercel's AI SDK, with their stock settings.

GDESIGN_NODE_MODULES names the folder `node_modules` in which `npm install openai ai @ai-sdk/openai` put them.
"""

import json
import os
import shutil
import subprocess

import pytest

import gdesign
from gdesign.serve.app import Serving
from gdesign.serve.guard import LOOPBACK
from tests import worlds
from tests.serve.folders import folder
from tests.serve.serving import serving

SCRIPT = """
import OpenAI from "openai";
import { generateText, streamText, generateObject, jsonSchema } from "ai";
import { createOpenAI } from "@ai-sdk/openai";

const [baseURL] = process.argv.slice(2);
const told = {};
const client = new OpenAI({ baseURL, apiKey: "none" });
const asked = { model: "gdesign", messages: [{ role: "user", content: "Where?" }] };
told.chat = (await client.chat.completions.create(asked)).choices[0].message.content;
told.stopped = (await client.chat.completions.create({ ...asked, stop: "Answer" })).choices[0].message.content;
told.streamed = "";
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  told.streamed += chunk.choices[0]?.delta.content ?? "";
}
told.response = (await client.responses.create({ model: "gdesign", input: "Where?" })).output_text;
told.events = [];
for await (const event of await client.responses.create({ model: "gdesign", input: "Where?", stream: true })) {
  told.events.push(event.type);
}
try {
  await client.chat.completions.create({ ...asked, tools: [{ type: "function", function: { name: "f" } }] });
} catch (error) {
  told.refused = [error.status, error.param];
}
const ai = createOpenAI({ baseURL, apiKey: "none" });
told.ai = (await generateText({ model: ai("gdesign"), prompt: "Where?", maxRetries: 0 })).text;
told.aiStreamed = "";
const stream = streamText({ model: ai("gdesign"), prompt: "Where?", maxRetries: 0 });
for await (const text of stream.textStream) told.aiStreamed += text;
const model = ai.chat("gdesign");
told.aiChat = (await generateText({ model, prompt: "Where?", stopSequences: ["Answer"], maxRetries: 0 })).text;
const schema = jsonSchema({
  type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
});
told.aiObject = (await generateObject({ model: ai("gdesign"), schema, prompt: "Where?", maxRetries: 0 })).object;
console.log(JSON.stringify(told));
"""


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("node") is None or not os.environ.get("GDESIGN_NODE_MODULES"),
    reason="there is no node, or GDESIGN_NODE_MODULES names no packages for it",
)
def test_the_sdks_for_node_get_texts_streams_responses_and_objects(tmp_path):
    (tmp_path / "node_modules").symlink_to(os.environ["GDESIGN_NODE_MODULES"])
    (tmp_path / "ask.mjs").write_text(SCRIPT, encoding="utf-8")
    path = folder(tmp_path / "a")
    said = "It lies in Peru.\nAnswer: Lima"
    llm = worlds.Scripted(lambda request: '{"city": "Lima"}' if request.response_format else said)
    with serving(Serving(gdesign.load(path, llm=llm), folder=path, hosts=LOOPBACK)) as url:
        done = subprocess.run(
            ["node", "--preserve-symlinks", "ask.mjs", url], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    for name in ("chat", "streamed", "response", "ai", "aiStreamed"):
        assert told[name] == said, name
    for name in ("stopped", "aiChat"):
        assert told[name].strip() == "It lies in Peru.", name
    assert (told["events"][0], told["events"][-1]) == ("response.created", "response.completed")
    assert told["refused"] == [400, "tools"]
    assert told["aiObject"] == {"city": "Lima"}
