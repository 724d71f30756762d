"""What every model keeps: the fake, the embedded one, a small checkpoint with MGeo's key names, and one that no drill disturbs."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

from service.drill_faults import FaultFile
from service.errors import ModelLoadError
from service.model.base import AddressPair, Label, Model
from service.model.drilled import DrilledModel
from service.model.fake import FakeModel
from service.model.transformer import embedded_model_directory, load_model

CHARACTERS = "浙江省杭州市西湖区文一二三路街号楼栋单元室人民建设中山北紫萱"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, *"0123456789", *(f"##{digit}" for digit in range(10))]

PAIRS = (
    AddressPair(address1="浙江省杭州市西湖区文一路23号3号楼2单元501室", address2="杭州西湖文一路23号3幢2单元501"),
    AddressPair(address1="文一路", address2="文二路"),
    AddressPair(address1="紫萱路363号", address2="建设北路1号"),
    AddressPair(address1="一", address2="一"),
    AddressPair(address1="中山路" * 33, address2="中山北路" * 25),
    AddressPair(address1="🏠 Ünïcode\u202e", address2="\U00020000路"),
)


def save_mgeo_checkpoint(directory: Path, *, labels: int = 3, config_changes: dict[str, object] | None = None) -> Path:
    """A tiny text classifier whose weights bear MGeo's names, map encoder included."""
    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(TOKENS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.5,
        num_labels=labels,
    )
    weights = {
        name.replace("bert.", "bert.text_encoder.", 1) if name.startswith("bert.") else name: value
        for name, value in BertForSequenceClassification(config).state_dict().items()
    }
    weights["bert.text_encoder.embeddings.position_ids"] = torch.arange(512).unsqueeze(0)
    weights["bert.gis_encoder.embeddings.word_embeddings.weight"] = torch.zeros(4, 8)
    weights["bert.gis2text.weight"] = torch.zeros(32, 8)
    weights["bert.gis_type.weight"] = torch.zeros(2, 32)
    save_file(weights, directory / "model.safetensors")
    written = {**config.to_dict(), "fusion_layer": 2, "gis_embedding": 0, **(config_changes or {})}
    for key in ("id2label", "label2id"):
        written.pop(key, None)
    (directory / "config.json").write_text(json.dumps(written))
    (directory / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    return directory


def rewrite_weights(directory: Path, change) -> None:
    """Read the weights, let `change` edit them in place, and write them back."""
    weights = load_file(directory / "model.safetensors")
    change(weights)
    save_file(weights, directory / "model.safetensors")


@pytest.fixture(scope="module")
def mgeo_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_mgeo_checkpoint(tmp_path_factory.mktemp("models") / "mgeo")


@pytest.fixture
def checkpoint(mgeo_directory: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(mgeo_directory, tmp_path / "mgeo"))


@pytest.fixture(scope="module", params=["fake", "embedded", "mgeo", "drilled"])
def model(request: pytest.FixtureRequest, mgeo_directory: Path) -> Model:
    if request.param == "fake":
        return FakeModel()
    if request.param == "drilled":
        return DrilledModel(FakeModel(), FaultFile(mgeo_directory / "drill.json", clock=time.time))
    directory = embedded_model_directory() if request.param == "embedded" else mgeo_directory
    return load_model(directory, device="cpu", threads=1)


class TestEveryModel:
    """What the service relies on, whichever model answers."""

    def test_every_pair_has_an_answer_in_its_place(self, model: Model) -> None:
        """Reversing the pairs reverses the answers."""
        forward = model.predict(PAIRS).scores
        backward = model.predict(PAIRS[::-1]).scores
        assert [scores.label for scores in forward] == [scores.label for scores in backward[::-1]]
        assert len(forward) == len(PAIRS)

    def test_probabilities_sum_to_one(self, model: Model) -> None:
        """Each in [0, 1]."""
        for scores in model.predict(PAIRS).scores:
            probabilities = (scores.not_match, scores.partial_match, scores.exact_match)
            assert sum(probabilities) == pytest.approx(1.0, abs=1e-6)
            assert all(0.0 <= probability <= 1.0 for probability in probabilities)

    def test_a_batch_answers_as_single_pairs_do(self, model: Model) -> None:
        """Padding and neighbours change nothing, within 0.00001."""
        batch = model.predict(PAIRS).scores
        for pair, scores in zip(PAIRS, batch, strict=True):
            single = model.predict([pair]).scores[0]
            assert (single.not_match, single.partial_match, single.exact_match) == pytest.approx(
                (scores.not_match, scores.partial_match, scores.exact_match), abs=1e-5
            )

    def test_addresses_of_a_hundred_characters_are_not_truncated(self, model: Model) -> None:
        """The service cuts at 100 characters and says so; a model must not cut again in silence."""
        assert model.predict(PAIRS).truncated == (False,) * len(PAIRS)

    def test_the_same_pair_always_gets_the_same_answer(self, model: Model) -> None:
        """Nothing random is left in an evaluated model."""
        assert model.predict(PAIRS).scores == model.predict(PAIRS).scores

    def test_durations_are_reported(self, model: Model) -> None:
        """Seconds, both above zero."""
        prediction = model.predict(PAIRS)
        assert prediction.tokenize_duration > 0
        assert prediction.forward_duration > 0

    def test_it_says_who_it_is(self, model: Model) -> None:
        """Name, version and device are never empty."""
        assert model.info.name in ("fake", "embedded", "mgeo")
        assert model.info.version
        assert model.info.device == "cpu"

    def test_it_warms_up(self, model: Model) -> None:
        """And answers as before."""
        before = model.predict(PAIRS).scores
        model.warmup()
        assert model.predict(PAIRS).scores == before


class TestMgeoCheckpoint:
    """A folder by MGeo's key names."""

    def test_its_weights_answer_as_the_network_they_came_from(self, mgeo_directory: Path) -> None:
        """The renamed encoder is really the one in the file: the answer equals stock transformers' on the same weights."""
        weights = load_file(mgeo_directory / "model.safetensors")
        stock = BertForSequenceClassification(BertConfig.from_pretrained(mgeo_directory, num_labels=3)).eval()
        renamed = {name.replace("bert.text_encoder.", "bert."): value for name, value in weights.items()}
        stock.load_state_dict({name: value for name, value in renamed.items() if "gis" not in name and "position_ids" not in name})
        ids = [TOKENS.index(token) for token in ("[CLS]", "文", "一", "路", "[SEP]", "文", "二", "路", "[SEP]")]
        with torch.inference_mode():
            logits = stock(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([[0] * 5 + [1] * 4])).logits
        scores = load_model(mgeo_directory, device="cpu").predict([AddressPair(address1="文一路", address2="文二路")]).scores[0]
        assert [scores.not_match, scores.partial_match, scores.exact_match] == pytest.approx(logits.softmax(-1)[0].tolist(), abs=1e-6)

    def test_it_reads_the_raw_text(self, mgeo_directory: Path) -> None:
        """MGeo's own pipeline normalises nothing, so 三号 and 3号 differ."""
        model = load_model(mgeo_directory, device="cpu")
        first, second = model.predict(
            [AddressPair(address1="文一路三号", address2="文一路3号"), AddressPair(address1="文一路3号", address2="文一路3号")]
        ).scores
        assert first != second

    def test_its_version_is_the_weights_digest(self, mgeo_directory: Path, checkpoint: Path) -> None:
        """Twelve hexadecimal digits that change with the weights."""
        before = load_model(mgeo_directory, device="cpu").info.version
        rewrite_weights(checkpoint, lambda weights: weights["classifier.bias"].add_(1))
        after = load_model(checkpoint, device="cpu").info.version
        assert (len(before), len(after)) == (12, 12)
        assert before != after

    def test_pytorch_model_bin_is_accepted(self, mgeo_directory: Path, checkpoint: Path) -> None:
        """With the same answers; older checkpoints have nothing else."""
        torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
        (checkpoint / "model.safetensors").unlink()
        assert load_model(checkpoint, device="cpu").predict(PAIRS).scores == load_model(mgeo_directory, device="cpu").predict(PAIRS).scores

    def test_plain_bert_names_are_accepted(self, mgeo_directory: Path, checkpoint: Path) -> None:
        """A classifier saved by transformers has no text_encoder in its names."""
        weights = load_file(checkpoint / "model.safetensors")
        renamed = {name.replace("bert.text_encoder.", "bert."): value for name, value in weights.items() if "gis" not in name}
        save_file(renamed, checkpoint / "model.safetensors")
        assert load_model(checkpoint, device="cpu").predict(PAIRS).scores == load_model(mgeo_directory, device="cpu").predict(PAIRS).scores

    def test_old_layer_norm_names_are_accepted(self, mgeo_directory: Path, checkpoint: Path) -> None:
        """Gamma and beta are weight and bias."""
        weights = load_file(checkpoint / "model.safetensors")
        renamed = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in weights.items()
        }
        save_file(renamed, checkpoint / "model.safetensors")
        assert load_model(checkpoint, device="cpu").predict(PAIRS).scores == load_model(mgeo_directory, device="cpu").predict(PAIRS).scores

    def test_the_label_order_of_configuration_json_is_honoured(self, mgeo_directory: Path, checkpoint: Path) -> None:
        """The same outputs under other names."""
        names = {"0": "exact_match", "1": "not_match", "2": "partial_match"}
        (checkpoint / "configuration.json").write_text(json.dumps({"model": {"id2label": names}}))
        plain = load_model(mgeo_directory, device="cpu").predict(PAIRS).scores[0]
        named = load_model(checkpoint, device="cpu").predict(PAIRS).scores[0]
        assert (named.exact_match, named.not_match, named.partial_match) == (plain.not_match, plain.partial_match, plain.exact_match)

    def test_what_the_tokenizer_cuts_is_reported(self, checkpoint: Path) -> None:
        """Pair by pair, when the model has too few positions for two long addresses."""
        config = json.loads((checkpoint / "config.json").read_text())
        (checkpoint / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 32}))
        key = "bert.text_encoder.embeddings.position_embeddings.weight"
        rewrite_weights(checkpoint, lambda weights: weights.update({key: weights[key][:32].clone()}))
        pairs = (PAIRS[1], AddressPair(address1="文" * 20, address2="路" * 20))
        assert load_model(checkpoint, device="cpu").predict(pairs).truncated == (False, True)


def without(name: str):
    """A change that takes one weight away."""
    return lambda weights: weights.pop(name)


class TestRefusals:
    """A folder that would answer at random, or not at all, stops the start with the file and the fix."""

    def test_missing_weights_are_refused(self, checkpoint: Path) -> None:
        """Transformers would fill them with random numbers."""
        rewrite_weights(checkpoint, without("bert.text_encoder.encoder.layer.1.output.dense.weight"))
        with pytest.raises(
            ModelLoadError, match=r"model\.safetensors: misses 1 weights, the first is bert\.encoder\.layer\.1\.output\.dense\.weight"
        ):
            load_model(checkpoint)

    def test_an_empty_weights_file_is_refused(self, checkpoint: Path) -> None:
        """No weight at all is many missing weights."""
        save_file({}, checkpoint / "model.safetensors")
        with pytest.raises(ModelLoadError, match=r"misses 41 weights"):
            load_model(checkpoint)

    def test_a_foreign_encoder_is_refused(self, checkpoint: Path) -> None:
        """Weights nobody reads belong to another architecture."""
        rewrite_weights(checkpoint, lambda weights: weights.update({"lstm.weight": torch.zeros(1)}))
        with pytest.raises(ModelLoadError, match=r"has unknown 1 weights, the first is lstm\.weight"):
            load_model(checkpoint)

    def test_weights_of_another_size_are_refused(self, checkpoint: Path) -> None:
        """config.json and weights must belong together."""
        config = json.loads((checkpoint / "config.json").read_text())
        (checkpoint / "config.json").write_text(json.dumps({**config, "intermediate_size": 128}))
        with pytest.raises(ModelLoadError, match=r"does not fit config\.json in 6 weights"):
            load_model(checkpoint)

    def test_two_labels_are_refused(self, tmp_path: Path) -> None:
        """A same-or-not head cannot say partial."""
        directory = save_mgeo_checkpoint(tmp_path / "two", labels=2)
        with pytest.raises(ModelLoadError, match=r"the classification head has 2 outputs, but this service needs 3"):
            load_model(directory)

    def test_two_named_labels_are_refused(self, checkpoint: Path) -> None:
        """Even over a head of three."""
        (checkpoint / "configuration.json").write_text(json.dumps({"model": {"id2label": {"0": "no", "1": "yes"}}}))
        with pytest.raises(ModelLoadError, match=r"configuration\.json: the labels are no, yes"):
            load_model(checkpoint)

    @pytest.mark.parametrize("fusion_layer", [1, "12"])
    def test_a_fused_encoder_is_refused(self, tmp_path: Path, fusion_layer: object) -> None:
        """With fusion below the last layer the upper layers need map data."""
        directory = save_mgeo_checkpoint(tmp_path / "fused", config_changes={"fusion_layer": fusion_layer})
        with pytest.raises(ModelLoadError, match=r"config\.json: fusion_layer is .* with 2 layers"):
            load_model(directory)

    def test_another_architecture_is_refused(self, tmp_path: Path) -> None:
        """Only BERT's embeddings carry token types as MGeo uses them."""
        directory = save_mgeo_checkpoint(tmp_path / "other", config_changes={"model_type": "roberta"})
        with pytest.raises(ModelLoadError, match=r"model_type is 'roberta', but only 'bert' can be served"):
            load_model(directory)

    def test_a_senseless_config_is_refused(self, tmp_path: Path) -> None:
        """Whatever transformers says of it."""
        directory = save_mgeo_checkpoint(tmp_path / "odd", config_changes={"num_hidden_layers": "two"})
        with pytest.raises(ModelLoadError, match=r"config\.json: cannot be understood"):
            load_model(directory)

    def test_a_folder_without_weights_is_refused(self, checkpoint: Path) -> None:
        """Both accepted names are given."""
        (checkpoint / "model.safetensors").unlink()
        with pytest.raises(ModelLoadError, match=r"holds neither model\.safetensors nor pytorch_model\.bin"):
            load_model(checkpoint)

    def test_split_weights_are_refused(self, checkpoint: Path) -> None:
        """With the advice to join them."""
        (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
        (checkpoint / "model.safetensors.index.json").write_text("{}")
        with pytest.raises(ModelLoadError, match=r"split over several files; save them as one model\.safetensors"):
            load_model(checkpoint)

    @pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
    def test_a_git_lfs_pointer_is_refused(self, checkpoint: Path, name: str) -> None:
        """The usual outcome of a clone without LFS."""
        (checkpoint / "model.safetensors").unlink()
        (checkpoint / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 409000000\n")
        with pytest.raises(ModelLoadError, match=rf"{name}: cannot be read as weights .* Git LFS pointer"):
            load_model(checkpoint)

    def test_a_pickle_of_something_else_is_refused(self, checkpoint: Path) -> None:
        """Only a flat table of tensors is read, and nothing in it runs."""
        (checkpoint / "model.safetensors").unlink()
        torch.save({"state_dict": {"a": torch.zeros(1)}}, checkpoint / "pytorch_model.bin")
        with pytest.raises(ModelLoadError, match=r"pytorch_model\.bin: holds no plain table of weights"):
            load_model(checkpoint)

    def test_a_missing_folder_is_refused(self, tmp_path: Path) -> None:
        """A name from a hub is not looked up: the service never downloads."""
        with pytest.raises(ModelLoadError, match=r"damo/mgeo: is not a folder"):
            load_model(tmp_path / "damo/mgeo")

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        """config.json is asked for first."""
        with pytest.raises(ModelLoadError, match=r"config\.json: cannot be read"):
            load_model(tmp_path)

    def test_a_folder_without_vocabulary_is_refused(self, checkpoint: Path) -> None:
        """Transformers would make up an empty one, and every address would read the same."""
        (checkpoint / "vocab.txt").unlink()
        with pytest.raises(ModelLoadError, match=r"holds neither tokenizer\.json nor vocab\.txt"):
            load_model(checkpoint)

    def test_a_broken_tokenizer_is_refused(self, checkpoint: Path) -> None:
        """Not replaced by a tokenizer from elsewhere."""
        (checkpoint / "tokenizer.json").write_text("{")
        with pytest.raises(ModelLoadError, match=r"the tokenizer cannot be loaded"):
            load_model(checkpoint)

    def test_a_vocabulary_of_another_model_is_refused(self, checkpoint: Path) -> None:
        """More tokens than embeddings would fail at the first rare character."""
        (checkpoint / "vocab.txt").write_text("\n".join([*TOKENS, "甲", "乙"]) + "\n")
        with pytest.raises(ModelLoadError, match=r"the tokenizer has 57 tokens, the model 55"):
            load_model(checkpoint)


class TestFlaggedFolder:
    """The embedded kind of folder, spoilt."""

    @pytest.fixture
    def embedded(self, tmp_path: Path) -> Path:
        return Path(shutil.copytree(embedded_model_directory(), tmp_path / "embedded"))

    def test_a_missing_vocabulary_is_named(self, embedded: Path) -> None:
        """vocab.txt is read directly."""
        (embedded / "vocab.txt").unlink()
        with pytest.raises(ModelLoadError, match=r"vocab\.txt: cannot be read \(FileNotFoundError\)"):
            load_model(embedded)

    def test_a_short_vocabulary_is_refused(self, embedded: Path) -> None:
        """Every embedding needs its token."""
        (embedded / "vocab.txt").write_text("[PAD]\n[UNK]\n")
        with pytest.raises(ModelLoadError, match=r"vocab\.txt: has 2 tokens, config\.json says \d+"):
            load_model(embedded)

    def test_a_vocabulary_without_special_tokens_is_refused(self, embedded: Path) -> None:
        """The missing one is named."""
        tokens = (embedded / "vocab.txt").read_text(encoding="utf-8")
        (embedded / "vocab.txt").write_text(tokens.replace("[SEP]", "[SPE]"), encoding="utf-8")
        with pytest.raises(ModelLoadError, match=r"vocab\.txt: the token \[SEP\] is missing"):
            load_model(embedded)


def test_equal_addresses_match_exactly_in_the_embedded_model() -> None:
    """And so do two spellings its normalisation unites."""
    model = load_model(embedded_model_directory(), device="cpu", threads=1)
    pairs = [
        AddressPair(address1="杭州市西湖区文一路23号3号楼", address2="杭州市西湖区文一路23号3号楼"),
        AddressPair(address1="杭州市西湖区文一路23号3号楼", address2="杭州市西湖区文一路二十三号3幢"),
    ]
    assert [scores.label for scores in model.predict(pairs).scores] == [Label.EXACT_MATCH, Label.EXACT_MATCH]


def test_stock_transformers_loads_the_embedded_model() -> None:
    """Every weight in its place, so that it can be taken elsewhere."""
    _, report = BertForSequenceClassification.from_pretrained(embedded_model_directory(), local_files_only=True, output_loading_info=True)
    assert (list(report["missing_keys"]), list(report["unexpected_keys"]), list(report["mismatched_keys"])) == ([], [], [])
