"""Options of learning from what the student writes itself."""

from pydantic import Field

from assertkd.settings.section import Section


class OnPolicySettings(Section):
    """Learning from what the student writes itself, scored by the teacher, which is loaded for it (GKD, Agarwal et al.
    2024)."""

    fraction: float = Field(0.0, ge=0.0, le=1.0)
    """Share of the optimizer steps, 0 to 1, whose targets the student samples; their loss is the generalised
    Jensen-Shannon divergence from the teacher in place of the variant's own. 0 loads no teacher."""
    beta: float = Field(0.5, ge=0.0, le=1.0)
    """Weight of the teacher in the divergence's mixture, 0 to 1: 0.5 is the Jensen-Shannon divergence, 0 the forward KL
    (teacher from student), 1 the reverse."""
    temperature: float = Field(1.0, gt=0.0, le=100.0)
    """Temperature of both distributions in the divergence. Samples are drawn at 1."""
