"""Skin tone from CIELAB: the individual typology angle (ITA) and the one table of tone groups."""

import numpy as np

# Upper group first. A group holds the angles above its bound and up to the bound before it.
# The bounds are Chardon's (Chardon et al. 1991): >55 very light, 41-55 light, 28-41 intermediate;
# tan (10-28), brown (-30-10) and dark (<-30) are one group, as in the ISIC 2020 skin-tone table.
TONE_GROUPS = (
    ("Very light", 55.0),
    ("Light", 41.0),
    ("Intermediate", 28.0),
    ("Tan", -np.inf),
)
GROUP_NAMES = tuple(name for name, _ in TONE_GROUPS)
UNKNOWN_GROUP = -1


def ita_from_lab(lab):
    """Individual typology angle in degrees, in (-180, 180], of CIE L*a*b* colours.

    `lab`: [..., 3] with L* in 0..100 and signed a*, b* (D65). The angle is
    atan2(L* - 50, b*) (Chardon et al. 1991), so that b* near or below zero stays defined.
    """
    lab = np.asarray(lab, dtype=np.float64)
    return np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))


def tone_group(ita):
    """Index into `GROUP_NAMES` (0 very light ... 3 tan and darker) for angles in degrees.

    NaN gives `UNKNOWN_GROUP` (-1). Shape follows the input; integers come back as int64.
    """
    ita = np.asarray(ita, dtype=np.float64)
    inner_bounds = [bound for _, bound in TONE_GROUPS[:-1]]
    group = np.sum([ita <= bound for bound in inner_bounds], axis=0)
    return np.where(np.isnan(ita), UNKNOWN_GROUP, group).astype(np.int64)
