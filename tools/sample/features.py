"""The parts of a drawn face and what each action unit does to them. Coordinates and `Canvas`: see `faces`."""

from __future__ import annotations

import numpy as np

from tools.sample.canvas import Canvas, bow, curve, ellipse

__all__ = ["brow", "eye", "glasses", "hair", "head", "mouth", "nose", "relief"]

Units = dict[int, float]

HAIRLINES = {  # y of eight points from the image's right temple to the left one
    1: (-0.20, -0.55, -0.76, -0.84, -0.84, -0.76, -0.55, -0.20),
    2: (-0.20, -0.52, -0.62, -0.74, -0.88, -0.74, -0.48, -0.20),
    3: (-0.20, -0.50, -0.57, -0.60, -0.56, -0.61, -0.47, -0.20),
    4: (0.10, -0.45, -0.70, -0.93, -0.91, -0.68, -0.45, 0.10),
    5: (-0.10, -0.50, -0.66, -0.76, -0.76, -0.66, -0.50, -0.10),
}
_HAIRLINE_X = (0.97, 0.89, 0.66, 0.18, -0.18, -0.66, -0.89, -0.97)  # in half widths of the face
_STRANDS = ((0.2, 0.72), (0.36, 0.55), (0.5, 0.4), (0.64, 0.3), (0.8, 0.16))  # crown to hairline, shares of both


def head(canvas: Canvas, au: Units) -> None:
    """Hair behind the head, neck, clothes, ears and the face's outline. AU26 lowers the chin, AU17 raises it."""
    look = canvas.look
    w, jaw, chin = look.width, look.width * look.jaw, look.chin + 0.15 * au[26] - 0.03 * au[17]
    if look.hairstyle == 4:
        canvas.fill(bow([(0, -1.2), (w + 0.16, -0.7), (w + 0.22, 0.2), (w + 0.12, 1.3)]), look.hair)
    canvas.fill(np.array([(-0.42, 0.4), (0.42, 0.4), (0.48, 1.6), (-0.48, 1.6)]), look.skin * 0.72)
    canvas.fill(bow([(0, 1.2), (0.5, 1.02), (1.3, 1.35), (1.3, 2)]), look.cloth)
    if look.hairstyle != 4:
        for side in (-1, 1):
            canvas.fill(ellipse(side * (w + 0.02), -0.02, 0.09, 0.17), look.skin * 0.85)
    cheek = [(0.62 * w, -1.02), (0.95 * w, -0.7), (w, -0.15), (0.95 * w, 0.3), (jaw, 0.64), (0.38 * w, chin - 0.06)]
    opposite = [(-x, y) for x, y in cheek[::-1]]
    canvas.fill(curve([(0, -1.1), *cheek, (0, chin), *opposite], closed=True), look.skin)


def relief(canvas: Canvas, au: Units) -> None:
    """Light and shadow of the bony parts, the folds that the units press into the skin, and the beard."""
    w = canvas.look.width
    for side in (-1, 1):
        rim = curve([(0.7 * w, -1.0), (0.98 * w, -0.5), (w, 0.1), (0.8 * w, 0.62), (0.3 * w, 0.95)]) * (side, 1)
        canvas.shadow(rim, 0.28, width=3.2)
        canvas.shadow(ellipse(side * 0.3, -0.23, 0.2, 0.13), 0.24)
        canvas.shadow(ellipse(side * 0.4, 0.16 - 0.06 * au[6], 0.16, 0.12), -0.12 - 0.1 * au[6])
    canvas.shadow(ellipse(0, -0.72, 0.4, 0.2), -0.08)
    canvas.shadow(np.array([(-0.04, -0.25), (0.04, -0.25), (0.05, 0.14), (-0.05, 0.14)]), -0.16, raised=0.1)
    canvas.shadow(np.array([(0.06, -0.2), (0.12, 0.2), (0.05, 0.22)]), 0.2, raised=0.1)
    canvas.shadow(ellipse(0, 0.7 + 0.14 * au[26], 0.16, 0.04), 0.2)
    canvas.apply_shade(1.6)
    _folds(canvas, au)
    canvas.apply_shade(0.35)
    if canvas.look.beard:
        _beard(canvas, au)


def _folds(canvas: Canvas, au: Units) -> None:
    """AU12, 9 and 10 deepen the fold from nose to mouth, AU1 and 2 furrow the forehead, AU4 and 9 the nose's root."""
    to_mouth = min(0.55, 0.08 + 0.4 * max(au[12], au[9], au[10]) + 0.1 * au[15])
    reach = 0.36 + 0.06 * au[12] + 0.05 * au[20]
    folds = (
        ([(0.16, 0.16), (0.28, 0.28), (reach, 0.5)], to_mouth, 1.1),
        ([(0.06, -0.46), (0.05, -0.38), (0.05, -0.3)], 0.5 * au[4], 0.6),
        ([(0.46, -0.2), (0.51, -0.19), (0.56, -0.16)], 0.4 * au[6], 0.8),
        ([(0.2, -0.06), (0.3, -0.02), (0.42, -0.06)], 0.16 + 0.3 * au[6], 0.8),
        ([(0.02, -0.12), (0.1, -0.05), (0.16, -0.02)], 0.7 * au[9], 0.9),
        ([(0.02, -0.22), (0.08, -0.17), (0.13, -0.15)], 0.6 * au[9], 0.8),
    )
    for points, strength, width in folds:
        for side in (-1, 1):
            canvas.shadow(curve(points) * (side, 1), strength, width=width)
    lifted = max(0.0, max(au[1], au[2]) - 0.3 * au[4])
    for y in (-0.62, -0.74):
        furrow = bow([(0, y - 0.05 * au[1] + 0.02 * au[2]), (0.16, y - 0.03 * au[1]), (0.36, y + 0.03)])
        canvas.shadow(furrow, 0.42 * lifted, width=0.8)
    canvas.shadow(bow([(0, 0.73), (0.1, 0.76)]), 0.5 * au[17], width=0.9)


def _beard(canvas: Canvas, au: Units) -> None:
    """1 stubble, 2 moustache, 3 full beard."""
    look, drop = canvas.look, 0.15 * au[26]
    w, kind = look.width, look.beard
    if kind == 2:
        canvas.shadow(np.vstack((bow([(0, 0.33), (0.12, 0.33), (0.3, 0.46)]), [(0, 0.42)])), 0.6)
    else:
        jaw = bow([(0, 1.0 + drop), (0.4 * w, 0.95 + drop), (0.9 * w, 0.55), (0.98 * w, 0.1)])
        mouth_side = bow([(0, 0.36), (0.3, 0.34), (0.6 * w, 0.42), (0.98 * w, 0.1)])
        depth = (0.3 if kind == 1 else 0.65) * min(1.0, 1.2 - look.hair / 255)
        canvas.shadow(np.vstack((jaw, mouth_side[::-1])), depth)
    canvas.apply_shade(0.4 if kind == 2 else 0.8)


def mouth(canvas: Canvas, au: Units) -> None:
    """Lips, the opening between them, teeth and tongue (AU10, 12, 15, 16, 17, 20, 23, 25, 26)."""
    look = canvas.look
    w = look.mouth_width * (1 + 0.3 * au[12] + 0.35 * au[20] - 0.25 * au[23] - 0.15 * au[26] - 0.1 * au[17])
    y = 0.49 - 0.03 * au[17] - 0.03 * au[10] + 0.03 * au[26]
    corner = y - 0.15 * au[12] + 0.11 * au[15] + 0.04 * au[20] + 0.05 * au[26]
    top = y - 0.06 * au[10] + 0.02 * au[12] - 0.02 * au[9] - 0.03 * au[26]
    gap = au[25] * (0.07 + 0.035 * au[12] + 0.035 * au[20] + 0.06 * au[16]) + 0.24 * au[26] * min(1.0, 0.3 + au[25])
    low = top + gap + 0.015 * au[12] - (0.05 * au[15] + 0.03 * au[17]) * (1 - au[25])
    thin = 1 - 0.6 * au[23] - 0.25 * au[12]
    up, down = 0.055 * look.lips * thin, 0.085 * look.lips * thin * (1 + 0.25 * au[17])
    side = 0.72 * top + 0.28 * corner
    lower_side = 0.75 * low + 0.25 * corner
    upper = bow([(0, top), (0.5 * w, side), (w, corner)])
    lower = bow([(0, low), (0.55 * w, lower_side), (w, corner)])
    above = bow([(0, top - 0.85 * up), (0.18 * w, top - 1.15 * up), (0.55 * w, side - 0.8 * up), (w, corner)])
    below = bow([(0, low + down), (0.6 * w, lower_side + 0.8 * down), (w, corner)])
    canvas.fill(np.vstack((above, upper[::-1])), look.skin * 0.6, raised=0.06)
    canvas.fill(np.vstack((below, lower[::-1])), look.skin * 0.66, raised=0.06)
    if gap > 0.02:
        _opening(canvas, upper, lower, gap, au)
    canvas.line(upper, look.skin * 0.28, 0.45, raised=0.06)
    for x in (-w, w):
        canvas.fill(ellipse(x, corner, 0.025, 0.02), look.skin * 0.35, raised=0.04)


def _opening(canvas: Canvas, upper: np.ndarray, lower: np.ndarray, gap: float, au: Units) -> None:
    """The dark of the mouth with the teeth that it bares: the upper ones; AU16 and AU20 the lower ones too."""
    lower = lower[np.linspace(0, len(lower) - 1, len(upper)).round().astype(int)]
    canvas.fill(np.vstack((upper, lower[::-1])), 22, raised=0.03)
    if gap > 0.16:
        canvas.fill(ellipse(0, float(lower[:, 1].max()) - 0.05, 0.13, 0.05), 75, raised=0.03)
    enamel = min(235.0, canvas.look.skin * 0.35 + 150)
    edge = upper + min(0.85, 0.085 / gap) * (lower - upper)
    canvas.fill(np.vstack((upper, edge[::-1])), enamel, raised=0.03)
    if au[16] + 0.5 * au[20] > 0.25:
        edge = lower + min(0.35, 0.05 / gap) * (upper - lower)
        canvas.fill(np.vstack((lower, edge[::-1])), enamel * 0.92, raised=0.03)


def nose(canvas: Canvas, au: Units) -> None:
    """Nostrils, wings and tip. AU9 lifts and widens them."""
    look = canvas.look
    w, y = 0.1 * look.nose * (1 + 0.2 * au[9] + 0.1 * au[12]), 0.22 - 0.055 * au[9] - 0.02 * au[10]
    for side in (-1, 1):
        wing = curve([(w, y - 0.1), (w + 0.045, y - 0.02), (w, y + 0.03)]) * (side, 1)
        canvas.line(wing, look.skin * 0.58, 0.5, raised=0.1)
        canvas.fill(ellipse(side * 0.55 * w, y + 0.015, 0.042, 0.022), look.skin * 0.32, raised=0.14)
    canvas.line(bow([(0, y + 0.045), (0.35 * w, y + 0.03)]), look.skin * 0.6, 0.4, raised=0.16)
    canvas.fill(ellipse(-0.02, y - 0.07, 0.03, 0.025), look.skin * 1.15, raised=0.16)


def eye(canvas: Canvas, au: Units, side: int) -> None:
    """One eye (`side` -1: the image's left). AU5 raises the upper lid, AU43 lowers it, AU6 and 7 raise the lower."""
    look = canvas.look
    x, y, size = side * look.eye_gap, -0.19, look.eye_size
    half = 0.15 * size * side
    up = 0.078 * size * max(0.08, 1 + 0.75 * au[5] - 0.25 * (au[7] + au[6] + au[9]) - 0.85 * au[43])
    down = 0.05 * size * max(0.1, 1 + 0.25 * au[5] - 0.55 * au[7] - 0.5 * au[6] - 0.5 * au[9])
    slant = 0.035 * (au[1] - 0.8 * au[4])
    inner, outer = (x - half, y + 0.015), (x + half, y - 0.005)
    high = (x - 0.5 * half, y - 0.82 * up - slant), (x, y - up), (x + 0.55 * half, y - 0.75 * up + 0.5 * slant)
    upper = curve([inner, *high, outer])
    lower = curve([outer, (x + 0.4 * half, y + 0.9 * down), (x - 0.3 * half, y + 0.95 * down), inner])
    pupil = (x + look.gaze[0] * 0.045 * size, y - 0.012 + look.gaze[1] * 0.03 * size)
    _eyeball(canvas, np.vstack((upper, lower)), *pupil, 0.074 * size)
    canvas.line(upper, min(45.0, look.skin * 0.3), 0.75)
    canvas.line(lower, look.skin * 0.55, 0.35)
    canvas.line(upper[2:-2] - (0, 0.05 + 0.02 * au[5]), look.skin * 0.66, 0.4)


def _eyeball(canvas: Canvas, almond: np.ndarray, x: float, y: float, radius: float) -> None:
    """White, iris, pupil and glint, cut to the lids' outline."""
    look = canvas.look
    canvas.clip(almond)
    canvas.fill(almond, min(235.0, 110 + look.skin * 0.5))
    canvas.fill(ellipse(x, y, radius, radius), look.iris + 15)
    canvas.fill(ellipse(x, y, radius * 0.5, radius * 0.5), 8)
    canvas.fill(ellipse(x - 0.025, y - 0.028, 0.018, 0.018), 245)
    canvas.unclip()


def brow(canvas: Canvas, au: Units, side: int) -> None:
    """One brow: AU1 raises its inner end, AU2 the outer; AU4 lowers it and draws it in, AU9 lowers the inner end."""
    look = canvas.look
    gap, y = look.eye_gap, -0.39
    inner = (gap - 0.17 - 0.05 * au[4], y + 0.02 - 0.13 * au[1] + 0.13 * au[4] + 0.06 * au[9])
    middle = (gap + 0.03, y - 0.04 - 0.07 * au[1] - 0.12 * au[2] + 0.07 * au[4] + 0.03 * au[9])
    outer = (gap + 0.2, y + 0.03 - 0.12 * au[2] + 0.03 * au[4] + 0.02 * au[1])
    line = curve([inner, middle, outer]) * (side, 1)
    thick = 0.034 * look.brow * np.linspace(1.0, 0.35, len(line))[:, None] * (0, 1)
    canvas.fill(np.vstack((line - thick, (line + thick)[::-1])), min(look.hair * 0.9, look.skin * 0.55))


def hair(canvas: Canvas) -> None:
    """Hair in front of the forehead: 0 bald, 1 short, 2 parted, 3 fringe, 4 long, 5 curly."""
    look = canvas.look
    if not look.hairstyle:
        return
    w, v, end = look.width, look.volume, -0.22 if look.hairstyle < 4 else -0.05
    cap = bow([(0, -1.25 - v), (0.4 * w, -1.2 - v), (0.85 * w + v, -0.98), (w + 0.04 + 0.4 * v, -0.55), (w, end)])
    if look.hairstyle == 5:
        cap += (cap - (0, -0.5)) * (0.1 + 0.045 * np.sin(np.arange(len(cap)) * 1.6))[:, None]
    line = curve(np.stack((np.multiply(_HAIRLINE_X, w), HAIRLINES[look.hairstyle]), 1))
    canvas.fill(np.vstack((cap, line)), look.hair)
    for k, (start, stop) in enumerate(_STRANDS):
        root, tip = cap[int(start * (len(cap) - 1))], line[int(stop * (len(line) - 1))]
        strand = curve([root, 0.5 * (root + tip) + (0.05 * (k - 2), -0.04), tip])
        canvas.line(strand, look.hair + (12, -10)[k % 2], 0.5)


def glasses(canvas: Canvas) -> None:
    """0 none, 1 with a thin rim, 2 with a thick one."""
    look = canvas.look
    if not look.glasses:
        return
    width = 0.5 * look.glasses
    for side in (-1, 1):
        rim = ellipse(side * (look.eye_gap + 0.01), -0.17, 0.21, 0.165)
        canvas.line(np.vstack((rim, rim[:1])), 35, width, raised=0.08)
        canvas.line(np.array([(side * 0.53, -0.19), (side * look.width, -0.2)]), 35, width)
    canvas.line(bow([(0, -0.22), (0.1, -0.19)]), 35, width, raised=0.12)
