"""A stacked LSTM language model for `transformers`; needs `trust_remote_code=True`.

The state goes from step to step, so generating a token costs the same wherever it stands. Prompts
that are generated from together have to be of one length: padding would be read.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput


class CrescendoLstmConfig(PretrainedConfig):
    model_type = "crescendo_lstm"

    def __init__(
        self,
        vocab_size: int = 1,
        hidden_size: int = 1,
        embedding_size: int = 1,
        num_hidden_layers: int = 1,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.num_hidden_layers = num_hidden_layers
        super().__init__(**{"tie_word_embeddings": False} | kwargs)


@dataclass
class LstmOutput(CausalLMOutput):
    state: tuple | None = None


class CrescendoLstmForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = CrescendoLstmConfig
    _is_stateful = True

    def __init__(self, config: CrescendoLstmConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        sizes = config.embedding_size, config.hidden_size, config.num_hidden_layers
        self.lstm = nn.LSTM(*sizes, batch_first=True)
        self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        state: tuple | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> LstmOutput:
        """input_ids: (batch, time) -> logits (batch, time, vocab), and the state after the last.
        The mask is not looked at."""
        hidden, state = self.lstm(self.embedding(input_ids), state)
        logits, loss = self.head(hidden), None
        if labels is not None:
            loss = self.loss_function(logits, labels, self.config.vocab_size)
        return LstmOutput(loss=loss, logits=logits, state=state)

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, state: tuple | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return {"input_ids": input_ids if state is None else input_ids[:, -1:], "state": state}

    def _update_model_kwargs_for_generation(
        self, outputs: LstmOutput, model_kwargs: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        model_kwargs["state"] = outputs.state
        return super()._update_model_kwargs_for_generation(outputs, model_kwargs, **kwargs)
