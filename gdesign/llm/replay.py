"""Record and replay: whatever was answered once is never asked again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gdesign.errors import UnsupportedRequestError
from gdesign.llm.base import LLMClient
from gdesign.llm.recording import Recording
from gdesign.llm.wrappers import Sampling
from gdesign.types import Label, Reply, Request


@dataclass(slots=True, eq=False)
class _Asking:
    """A call in flight, how many wait for it, and whether one of them has the reply."""

    call: asyncio.Task[Reply]
    num_waiting: int = 0
    handed_on: bool = False


class Replay:
    """Answers from a recording; what is not there is asked and written down before it is used.

    A recorded reply has the text, the tokens and the seconds it had when it was live, the label
    `replayed` (or its own, if that is weaker) and no faults. Whatever came as a reply is recorded, refused,
    empty and malformed ones too; a failed call is not, so it is asked again the next time.

    A request that is in flight is asked once: whoever asks it again waits for the same reply, and gets it as a
    replayed one. It stays in flight while anybody waits for it, whoever asked first.

    Several processes may use one file. Where two of them ask the same thing at the same time both pay, and both
    use the reply that was written first.

    It is meant for clients that answer from the text. `recorded` answers from where a request comes
    from, which a recording does not hold.

    Args:
        path: The recording, a SQLite file; made if there is somebody to ask.
        llm: Who is asked; None for nobody, so that what is not recorded is an error.
        endpoints: By which endpoint each LLM is served, by its name, so that the replies of two models under one
            name are not mixed; None where that is not known.

    Raises:
        MissingDataError: There is no recording and nobody to ask.
        DataError: The file is no recording.
        ConfigError: It holds replies from other endpoints.
    """

    def __init__(
        self, *, path: str | Path, llm: LLMClient | None = None, endpoints: Mapping[str, str] | None = None
    ) -> None:
        self._recording = Recording(path, create=llm is not None)
        self._llm = llm
        self._endpoints = dict(endpoints or {})
        self._recording.check(self._endpoints)
        self._asking: dict[Request, _Asking] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_asking": {}}  # calls in flight stay in their process

    async def __call__(self, request: Request) -> Reply:
        """Answer from the recording, or ask and record.

        Raises:
            UnsupportedRequestError: The request is not recorded and there is nobody to ask.
            DataError: The reply cannot be written.
        """
        asking = self._asking.get(request)
        if asking is None:
            if (reply := self._recording.get(request)) is not None:
                return _replayed(reply)
            asking = self._asking[request] = _Asking(asyncio.ensure_future(self._ask(request)))
        asking.num_waiting += 1
        try:
            reply = await asyncio.shield(asking.call)
        finally:
            asking.num_waiting -= 1
            if asking.num_waiting == 0:
                asking.call.cancel()  # nobody waits for it any more; nothing happens to a call that is done
            if (asking.call.done() or asking.num_waiting == 0) and self._asking.get(request) is asking:
                del self._asking[request]
        if asking.handed_on:
            return _replayed(reply)
        asking.handed_on = True
        return reply

    async def _ask(self, request: Request) -> Reply:
        if self._llm is None:
            words = request.messages[-1].content if request.messages else ""
            raise UnsupportedRequestError(
                f"{self._recording.path} holds no reply of {request.llm} at temperature {request.temperature:g}, "
                f"max_tokens {request.max_tokens} and sample {request.sample} to {words[:200]!r}; see what it holds "
                "(gdesign calls stats), or ask for the rest (llm=openai llm.record=FILE)"
            )
        reply = await self._llm(request)
        # From here to the commit nothing gives up control, so a reply that came is a reply that is kept.
        if (url := self._endpoints.pop(request.llm, None)) is not None:
            self._recording.bind({request.llm: url})
        kept = self._recording.put(request, reply)
        return replace(kept, label=reply.label, faults=reply.faults)  # paid for and survived now, whoever wrote first


def _replayed(reply: Reply) -> Reply:
    return replace(reply, label=max(reply.label, Label.REPLAYED), faults=(), live=None)


def offline(*, path: str | Path, temperature: float = 0.0, max_tokens: int | None = None) -> LLMClient:
    """Return a client that answers from a recording alone, made with this temperature and limit.

    Raises:
        MissingDataError: The file is not there.
        DataError: It is no recording.
        ConfigError: A value is out of range.
    """
    return Sampling(llm=Replay(path=path), temperature=temperature, max_tokens=max_tokens)
