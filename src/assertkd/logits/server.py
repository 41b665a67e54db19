"""A running OpenAI-compatible server: it writes answers, and says how likely it finds given ones."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from assertkd.errors import UserError
from assertkd.logits.http_client import HttpClient, RefusedError
from assertkd.settings.logits import ServedModelSettings, ServerConnection


class Server:
    """The completions of a server's model, by token ids, so that the server's own tokenizer cuts nothing.

    Safe to use from several threads.

    Args:
        connection: with a url.
        served: the model that is asked, and what for.
        stopped: set where no request is to be sent again.

    Raises:
        UserError: the server is down, refuses the key, or has no such model.
    """

    def __init__(self, connection: ServerConnection, served: ServedModelSettings, stopped: threading.Event) -> None:
        self._client, self._served = HttpClient(connection, stopped), served
        self.url = self._client.url
        self._echoes = False
        self.model = self._model_name()

    def write(self, prompt: Sequence[int], max_tokens: int) -> str:
        """Return what the model writes behind a prompt, greedily, without the end and blanks around it.

        Raises:
            UserError: the server does not answer, or refuses.
        """
        choice = self._completed(
            {"prompt": list(prompt), "max_tokens": max_tokens, "temperature": 0, "stop": list(self._served.stop)}
        )
        text = choice.get("text")
        if not isinstance(text, str):
            raise UserError(f"{self.url}: a completion without text", "Check that this is a completions server.")
        return text.strip()

    def top_logprobs(self, prompt: Sequence[int], target: Sequence[int]) -> Any:
        """Return the log-probabilities along a target behind a prompt, in one of the server's forms.

        Raises:
            UserError: the server does not answer, or gives no log-probabilities of a prompt.
        """
        ids, top_k = [*prompt, *target], self._served.top_k
        body: dict[str, Any] = {"prompt": ids, "max_tokens": 1, "temperature": 0}
        if not self._echoes:
            choice = self._completed(body | {"prompt_logprobs": top_k}, may_refuse=True)
            rows = choice.get("prompt_logprobs")
            if isinstance(rows, list):
                return rows[-len(target) :]
        by_id = {"echo": True, "logprobs": top_k, "return_tokens_as_token_ids": True}
        logprobs = self._completed(body | by_id).get("logprobs")
        logprobs = logprobs if isinstance(logprobs, Mapping) else {}
        tokens = logprobs.get("tokens")
        if not isinstance(tokens, list) or len(tokens) < len(ids):
            raise UserError(
                f"{self.url}: gives no log-probabilities of a prompt (neither prompt_logprobs nor echo)",
                "Serve the model with vLLM or SGLang. OpenAI's own servers and llama.cpp's do not give them.",
            )
        self._echoes = True
        # The token that had to be generated stands behind the target.
        return {name: values[len(prompt) : len(ids)] for name, values in logprobs.items() if isinstance(values, list)}

    def _model_name(self) -> str:
        """Return the model to ask: the one that the settings name, which the server has, or its only one."""
        wanted = self._served.model
        try:
            answer = self._client.ask("/models", None)
        except RefusedError as fault:
            if fault.status in (401, 403) or wanted is None:
                raise self._refusal(fault) from None
            return wanted
        listed = answer.get("data")
        names = (
            [one["id"] for one in listed if isinstance(one, Mapping) and isinstance(one.get("id"), str)]
            if (isinstance(listed, list))
            else []
        )
        if wanted is None and len(names) == 1:
            return str(names[0])
        if wanted not in names:
            what = "logits.server.model is not set" if wanted is None else f"has no model {wanted!r}"
            raise UserError(
                f"{self.url}: {what}; it has {', '.join(names) or 'none'}", "Set logits.server.model to one of these."
            )
        return str(wanted)

    def _completed(self, body: Mapping[str, Any], *, may_refuse: bool = False) -> Mapping[str, Any]:
        """Return the choice that a completion has; {} where the server may refuse it and does."""
        try:
            answer = self._client.ask("/completions", {"model": self.model, **body})
        except RefusedError as fault:
            # Servers that do not know a field may say so.
            if may_refuse and fault.status in (400, 422):
                return {}
            raise self._refusal(fault) from None
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            raise UserError(f"{self.url}: an answer without choices", "Check that this is a completions server.")
        return choices[0]

    def _refusal(self, fault: RefusedError) -> UserError:
        if fault.status in (401, 403):
            remedy = "Name the environment variable that holds its key: logits.server.api_key_env."
        elif fault.status == 404:
            remedy = "Set logits.server.url up to and with /v1, and logits.server.model to what it serves."
        else:
            remedy = (
                "Set logits.server.top_k to what the server allows (vllm serve --max-logprobs), data.max_input_len and "
                "max_output_len to its context, and tokenizer.name to the model's tokenizer."
            )
        return UserError(f"{self.url}: {fault}", remedy)
