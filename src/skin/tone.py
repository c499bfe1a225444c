"""Skin tone from CIELAB: the individual typology angle (ITA), its categories, an image's tone."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from .color import lab_from_rgb, rgb_from_lab
from .domains import CLINICAL, DERMOSCOPY


class ToneCategory(NamedTuple):
    """A range of angles: above `above` degrees, up to the bound of the category before it."""

    name: str
    above: float
    chardon: str
    fitzpatrick: str
    group: int


# Lightest first. The bounds are Chardon's (Chardon et al. 1991), with Kinyanjui's finer ones
# (Kinyanjui et al. 2020) in between. `fitzpatrick` are pairs of types and `group` the four tone
# groups, both as the ISIC 2020 skin-tone table assigns them: tan, brown and dark are one group.
TONE_CATEGORIES = (
    ToneCategory("very light", 55.0, "Very light", "12", 0),
    ToneCategory("light 2", 48.0, "Light", "12", 1),
    ToneCategory("light 1", 41.0, "Light", "12", 1),
    ToneCategory("intermediate 2", 34.5, "Intermediate", "34", 2),
    ToneCategory("intermediate 1", 28.0, "Intermediate", "34", 2),
    ToneCategory("tan 2", 19.0, "Tan", "34", 3),
    ToneCategory("tan 1", 10.0, "Tan", "56", 3),
    ToneCategory("brown", -30.0, "Brown", "56", 3),
    ToneCategory("dark", -np.inf, "Dark", "56", 3),
)
GROUP_NAMES = ("Very light", "Light", "Intermediate", "Tan and darker")
FORMER_NAMES = {"Tan": "Tan and darker"}  # of groups in files that earlier versions wrote
UNKNOWN_GROUP = -1

# Why an image's angle is not to be trusted. Light skin is yellower than b* = 5 (Xiao et al. 2017);
# white balance takes it below, and near b* = 0 the angle hangs on that alone. Below L* = 50 skin is
# in the darkest group whatever b* is.
TOO_LITTLE_SKIN = "too little skin"
IMPLAUSIBLE_COLOR = "implausible colour"
COLOR_CAST = "colour cast"
VIGNETTE = "vignette"
UNEVEN = "uneven skin"
RED_SKIN = "red skin"
MIN_SKIN_SHARE = 0.05
MAX_SPREAD = 25.0  # degrees; two standard deviations then span the angles of all light skin
MIN_RED = 20.0  # a* of red skin, which is also redder than yellow
MIN_B = 5.0
MAX_FALL_OFF = 6.0  # of L* between the inner and the outer half of the skin

_MAX_PIXELS = 2500


def ita_from_lab(lab):
    """Individual typology angle in degrees, in (-180, 180], of CIE L*a*b* colours.

    `lab`: [..., 3] with L* in 0..100 and signed a*, b* (D65). The angle is
    atan2(L* - 50, b*) (Chardon et al. 1991), so that b* near or below zero stays defined.
    """
    lab = np.asarray(lab, dtype=np.float64)
    return np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))


def ita_from_rgb(rgb):
    """Individual typology angle in degrees of sRGB colours [..., 3], 0..255."""
    return ita_from_lab(lab_from_rgb(rgb))


def ita_opencv8(rgb):
    """The angle of earlier work, in degrees, of sRGB colours [..., 3], 0..255: to compare with.

    arctan((L - 50) / b) on OpenCV's 8-bit Lab, where L runs to 255, b is shifted by 128 and L - 50
    wraps around: brown skin, RGB (60, 40, 30), gets +61 degrees where its ITA is -72.
    """
    rgb = np.rint(rgb).astype(np.uint8)
    lab = cv2.cvtColor(rgb.reshape(1, -1, 3), cv2.COLOR_RGB2Lab)[0]
    lightness, b = lab[:, 0] - np.uint8(50), lab[:, 2].astype(np.float64)
    return np.degrees(np.arctan2(lightness, b)).reshape(rgb.shape[:-1])


ITA_METHODS = {"cielab": ita_from_rgb, "opencv8": ita_opencv8}


def tone_category(ita):
    """Index into `TONE_CATEGORIES` for angles in degrees, -1 for NaN; int64, shape of the input."""
    ita = np.asarray(ita, dtype=np.float64)
    inner_bounds = [category.above for category in TONE_CATEGORIES[:-1]]
    index = np.sum([ita <= bound for bound in inner_bounds], axis=0)
    return np.where(np.isnan(ita), -1, index).astype(np.int64)


def tone_group(ita):
    """Index into `GROUP_NAMES` (0 very light ... 3 tan and darker) for angles in degrees.

    NaN gives `UNKNOWN_GROUP` (-1). Shape follows the input; integers come back as int64.
    """
    groups = [category.group for category in TONE_CATEGORIES]
    return np.array([*groups, UNKNOWN_GROUP], np.int64)[tone_category(ita)]


def present_names(names):
    """The tuple of names of tone groups that a file holds, as this version has them."""
    present = tuple(FORMER_NAMES.get(name, name) for name in names)
    return present if present == GROUP_NAMES else tuple(names)


def group_texts(groups, names=GROUP_NAMES):
    """What a CSV holds of `groups` [N]: their indices in `GROUP_NAMES`, else their own `names`."""
    return groups if names == GROUP_NAMES else [(*names, "")[group] for group in groups]


class ToneEstimate(NamedTuple):
    """The skin tone of one image.

    `ita` and `ita_spread` are in degrees (NaN without skin): the angle of the skin's colour, and
    1.4826 times the median absolute deviation of the angle over skin pixels. `color` is that
    colour in RGB, 0..255 (None without skin). `reason` says why `valid` is False; `group` is then
    unknown. `uncertain` is whether a spread more or less would be another group.
    """

    ita: float
    ita_spread: float
    valid: bool
    reason: str
    color: tuple[int, int, int] | None
    group: int
    uncertain: bool


def dominant_color(lab):
    """L*a*b* [3]: the centre of the largest k-means cluster of skin pixels [N, 3].

    The number of clusters, up to seven, is the elbow of the within-cluster sum of squares
    (kneed; Satopaa et al. 2011), one where the curve has none. Same pixels, same colour.
    """
    # a second, and matplotlib, which names of groups and all other angles do without
    from kneed import KneeLocator
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    lab = _thinned(lab, 1000)
    n_clusters = range(1, 1 + min(7, len(np.unique(lab, axis=0))))
    with threadpool_limits(1):  # the sums' order, and far faster on so few pixels
        fits = [KMeans(n, n_init=3, random_state=0).fit(lab) for n in n_clusters]
    elbow = None
    if len(fits) > 2:
        inertia = [fit.inertia_ for fit in fits]
        elbow = KneeLocator(n_clusters, inertia, curve="convex", direction="decreasing").elbow
    fit = fits[(elbow or 1) - 1]
    return fit.cluster_centers_[np.bincount(fit.labels_).argmax()]


SKIN_COLORS: dict[str, Callable] = {"median": partial(np.median, axis=0), "kmeans": dominant_color}


def estimate_tone(image, skin, method="cielab", color="median", domain=DERMOSCOPY):
    """The `ToneEstimate` of RGB uint8 [H, W, 3] over its pixels of `skin` [H, W] bool.

    `method` names an angle in `ITA_METHODS`, `color` a way to one skin colour in `SKIN_COLORS`.
    Whether the estimate is valid is decided in CIELAB, whatever the method, by what is plausible
    in an image of that `domain`.
    """
    places = _thinned(np.flatnonzero(skin), _MAX_PIXELS)
    pixels = image.reshape(-1, 3)[places]
    if not len(pixels):
        return ToneEstimate(np.nan, np.nan, False, TOO_LITTLE_SKIN, None, UNKNOWN_GROUP, False)
    lab = lab_from_rgb(pixels)
    skin_lab = SKIN_COLORS[color](lab)
    rgb = rgb_from_lab(skin_lab)
    ita = float(ITA_METHODS[method](rgb))
    deviation = (ITA_METHODS[method](pixels) - ita + 180.0) % 360.0 - 180.0
    spread = 1.4826 * float(np.median(np.abs(deviation)))
    reason = _why_invalid(skin_lab, lab, skin, places, domain)
    reason = reason or (UNEVEN if spread > MAX_SPREAD else "")
    group = UNKNOWN_GROUP if reason else int(tone_group(ita))
    uncertain = not reason and bool(tone_group(ita - spread) != tone_group(ita + spread))
    red, green, blue = np.rint(rgb).astype(int).tolist()
    return ToneEstimate(ita, spread, not reason, reason, (red, green, blue), group, uncertain)


def picture_angle(image):
    """The angle in degrees of the median L*a*b* over all pixels: the plainest estimate there is."""
    pixels = _thinned(image.reshape(-1, 3), 1000)
    return float(ita_from_lab(np.median(lab_from_rgb(pixels), axis=0)))


def _why_invalid(skin_lab, lab, skin, places, domain) -> str:
    """Why an estimate from pixels `lab` at `places` in `skin` is not to be trusted, or no text."""
    lightness, a, b = skin_lab
    if np.count_nonzero(skin) < MIN_SKIN_SHARE * skin.size:
        return TOO_LITTLE_SKIN
    most_b = 50 if domain == CLINICAL else 40  # of lamps that are yellower than a dermoscope's
    if not (10 <= lightness <= 92 and -2 <= a <= 40 and b <= most_b):
        return IMPLAUSIBLE_COLOR
    if b < (MIN_B if lightness >= 50 else 0.0):
        return COLOR_CAST
    if domain == CLINICAL:  # a lamp's fall-off is no vignette; `photographs` leaves out the shade
        return RED_SKIN if a > max(b, MIN_RED) else ""
    y, x = (
        2 * axis / n - 1 for axis, n in zip(divmod(places, skin.shape[1]), skin.shape, strict=True)
    )
    radius = x * x + y * y
    inner = radius < np.median(radius)
    light = lab[:, 0]
    if inner.any() and abs(np.median(light[inner]) - np.median(light[~inner])) > MAX_FALL_OFF:
        return VIGNETTE
    return ""


def _thinned(values, n_most: int):
    """At most `n_most` of `values`, evenly spaced."""
    return values[np.linspace(0, len(values) - 1, min(n_most, len(values))).astype(int)]
