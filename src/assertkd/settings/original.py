"""The options of the scripts that this project succeeds, and the keys that they are here. The one table of both."""

EVALUATE = "evaluation/evaluate_assertions.py"
"""The script that evaluated a model by itself."""

ORIGINAL: dict[str, dict[str, str]] = {
    "knowledge_distillation.py": {
        "train_data_path": "data.train_file",
        "val_data_path": "data.validation_file",
        "output_dir": "run",
        "model_name": "distillation.model.name",
        "batch_size": "distillation.training.batch_size",
        "gradient_accumulation_steps": "distillation.training.gradient_accumulation_steps",
        "epochs": "distillation.training.epochs",
        "lr": "distillation.training.lr",
        "warmup_steps": "distillation.training.warmup_steps",
        "weight_decay": "distillation.training.weight_decay",
        "dropout_rate": "distillation.training.dropout_rate",
        "max_train_samples": "distillation.training.max_train_samples",
        "max_val_samples": "distillation.training.max_val_samples",
        "max_input_len": "data.max_input_len",
        "max_output_len": "data.max_output_len",
        "validation_frequency": "distillation.training.validation_frequency",
        "use_enhanced_metrics": "distillation.training.enhanced_metrics",
        "loss_function": "distillation.loss.function",
        "loss_components": "distillation.loss.components",
        "loss_weights": "distillation.loss.weights",
        "enable_dynamic_weighting": "distillation.loss.dynamic_weighting",
        "alpha": "distillation.loss.alpha",
        "temperature": "distillation.loss.temperature",
        "pans_weight": "distillation.loss.pans_weight",
        "ast_weight": "distillation.loss.ast_weight",
        "semantic_loss_scale": "distillation.loss.semantic.scale",
        "enable_token_weighting": "distillation.loss.token_weighting.enabled",
        "critical_token_weight": "distillation.loss.token_weighting.critical_token_weight",
        "enable_epoch_sampling": "distillation.training.epoch_sampling",
        "sampling_seed": "distillation.training.sampling_seed",
        "seed": "seeds",
        "device": "distillation.training.device",
        "fp16": "distillation.training.precision",
        "num_workers": "distillation.training.num_workers",
        "pin_memory": "distillation.training.pin_memory",
    },
    "train_codet5_assertions.py": {
        "train_data_path": "data.train_file",
        "val_data_path": "data.validation_file",
        "output_dir": "run",
        "model_name": "teacher.model.name",
        "epochs": "teacher.training.epochs",
        "batch_size": "teacher.training.batch_size",
        "generate_distillation_data": "",
    },
    EVALUATE: {
        "teacher_data": "",
        "student_model_path": "",
        "student_limit": "evaluation.limit",
        "device": "evaluation.device",
        "temperature": "evaluation.eval_temperature",
    },
}
"""Script to option, without its dashes, to key; "" where the option became something structural."""

FLAG_VALUES = {"fp16": "fp16"}
"""What a key gets where its original option was a flag that stood for one of several values."""


def original_names(scripts: list[str]) -> dict[str, list[str]]:
    """Return key to the original options of some scripts that mean it; one that means several keys is left out."""
    meanings: dict[str, set[str]] = {}
    for script in scripts:
        for option, key in ORIGINAL[script].items():
            meanings.setdefault(option, set()).add(key)
    names: dict[str, list[str]] = {}
    for option, keys in meanings.items():
        if len(keys) == 1 and (key := next(iter(keys))) not in ("", "run"):
            names.setdefault(key, []).append(option)
    return names
