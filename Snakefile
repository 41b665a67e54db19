# AssertKD: prepare corpus -> fine-tune teacher -> compress its logits -> distil students -> predict, score -> report.
#   snakemake --profile profiles/local        everything on this machine
#   snakemake --profile profiles/delftblue    GPU rules to SLURM


from snakemake.utils import min_version

min_version("9.16.3")  # since then a default resource keeps the text that the profile gives it


include: "workflow/rules/config.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/start.smk"
include: "workflow/rules/corpus.smk"


if RUN.has_external_teacher:

    include: "workflow/rules/external_teacher.smk"

else:

    include: "workflow/rules/teacher.smk"
    include: "workflow/rules/logits.smk"


if RUN.is_pretrained:

    include: "workflow/rules/pretrain.smk"


if RUN.logits.server.url is not None:

    include: "workflow/rules/served_teacher.smk"


if RUN.data.unlabelled is not None:

    include: "workflow/rules/unlabelled.smk"


include: "workflow/rules/students.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/cluster.smk"


rule all:
    default_target: True
    input:
        report_files(),
    localrule: True
