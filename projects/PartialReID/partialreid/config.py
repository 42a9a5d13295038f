"""Configuration keys of this project, added to FastReID's.

Every number that the original wrote into its code is a key here, with the symbol of the paper. What
a module below this one has as its default is taken from there; docs/keys.md lists all values.
"""

from __future__ import annotations

from typing import Any

from fastreid.config import CfgNode as CN

from .config_types import accept_words_and_numbers
from .images.occlusion import KINDS
from .matching import coarse, lasso, pyramid, reconstruction, shortlists
from .matching.coarse_shortlist import SAMPLE
from .metrics import single_shot, uncertainty
from .runtime.device import DEVICES, resolve_device
from .runtime.inference_dtype import INFERENCE_DTYPES
from .runtime.memory_budget import AUTO


def add_partialreid_config(cfg: Any) -> None:
    """Add the keys of partial re-identification to a FastReID config, in place.

    Args:
        cfg: the result of `fastreid.config.get_cfg()`.
    """
    # The GPU where there is one and the CPU elsewhere, which a config can ask for as "auto"; "cuda"
    # and "cpu" insist. By its name at once, as FastReID's own functions know no "auto".
    cfg.MODEL.DEVICE = resolve_device("auto")
    # Memory format of the backbone: "auto" is on for the CPU, where it is 1.5 to 2 times faster.
    cfg.MODEL.CHANNELS_LAST = "auto"  # "auto", "on", "off"
    # What the backbone computes in once it is trained; all after its map is float32. "auto":
    # bfloat16 where the processor or the GPU multiplies in it, float32 elsewhere. A training, with
    # its evaluations, does not read it: see SOLVER.AMP.
    cfg.MODEL.INFERENCE_DTYPE = "float32"  # "auto", "float32", "bfloat16"

    # Network of build_timm_backbone, as timm names it: vit_small_patch14_dinov2, or with the name
    # of its weights, resnet50.a1_in1k. PRETRAIN_PATH is then a file of timm's.
    cfg.MODEL.BACKBONE.TIMM = ""

    cfg.MODEL.HEADS.DSR = CN()
    # Max-pooling windows of the pyramid, in cells of the feature map (one level for each).
    cfg.MODEL.HEADS.DSR.KERNELS = pyramid.KERNELS
    # Step of every window.
    cfg.MODEL.HEADS.DSR.STRIDE = pyramid.STRIDE

    # Size of test images; training is not affected. "off": all are stretched to SIZE_TEST [H, W].
    # Else their proportions are kept: "fit": scaled to fit into H x W, "width": to width W,
    # "height": to height H, "area": to the area H * W; "gallery": to fit, once all are stretched so
    # that whole persons of the gallery are H x W. No side becomes too short for the largest of
    # KERNELS: see data/keep_ratio.py. In YAML "off" needs its quotes.
    cfg.INPUT.KEEP_RATIO = "off"  # "off", "fit", "gallery", "width", "height", "area"
    # "gallery": height by width of an image that shows a whole person. 0.0: what the sizes of
    # the gallery's images say, see data/whole_people.py.
    cfg.INPUT.KEEP_RATIO_WHOLE = 0.0
    # Pixels: both sides are rounded to SIZE_TEST plus or minus a multiple of it. A multiple of the
    # backbone's stride gives whole cells, and few sizes, so that batches are full.
    cfg.INPUT.KEEP_RATIO_STEP = 16
    # "width", "height", "area": no side becomes longer than so many times that of SIZE_TEST.
    cfg.INPUT.KEEP_RATIO_LONGEST = 2.0
    # Share of each side of a resized test image that may be real detail: one that is finer is made
    # so small first. The images of Market-1501, 128 x 64, have a half of 256 x 128. 1.0: all of it.
    cfg.INPUT.DETAIL = 1.0

    # Objects put before training images. With these, or with DATASETS.MASKS, a batch also holds
    # "masks" (B, H, W): True where the person's image is visible: not hidden, not erased, and not
    # padded with a colour.
    cfg.INPUT.OCCLUSION = CN({"ENABLED": False})
    # Probability that an image gets one.
    cfg.INPUT.OCCLUSION.PROB = 0.5
    # Fraction of the image that is covered, from and to.
    cfg.INPUT.OCCLUSION.SHARE = (0.1, 0.4)
    # "shapes", drawn objects, of other forms and textures than those of <Name>Occluded; "pieces",
    # parts of other training images; "people", their persons, cut out by a drawn outline.
    cfg.INPUT.OCCLUSION.KINDS = KINDS

    # Training images that are made small and large again, before an object is put before them, so
    # that sharpness tells less of what is a person and what stands there.
    cfg.INPUT.SHRINK = CN({"ENABLED": False})
    # Probability that an image is.
    cfg.INPUT.SHRINK.PROB = 0.5
    # Share of each side that it is shrunk to, from and to.
    cfg.INPUT.SHRINK.SHARE = (0.4, 1.0)

    # ReconstructionBaseline: half of each identity's images in a batch are queries, and with this
    # probability those of a batch are cut to one height. They help cut people before the cameras of
    # the training, and cost others elsewhere: docs/choosing.md.
    cfg.INPUT.CUT = CN({"PROB": 0.0})
    # Share of the height that is left, from and to.
    cfg.INPUT.CUT.SHARE = (0.55, 0.95)
    # Pixels: what is left, and what is cut off above, are multiples of it. The backbone's stride
    # gives whole cells.
    cfg.INPUT.CUT.STEP = 16
    # How batch norm normalises cut queries: by statistics of their own, or as a test does, by the
    # running ones, which are then those of the whole images.
    cfg.INPUT.CUT.STATISTICS = "own"  # "own", "running"

    # How a window is pooled.
    cfg.MODEL.HEADS.DSR.POOL = pyramid.POOLS[0]  # "max", "avg"

    # The iteration at which the triplet loss begins; before it, the other losses train alone.
    cfg.MODEL.LOSSES.TRI.START_ITER = 0
    # FPRBaseline: weight of the loss of the foreground probabilities.
    cfg.MODEL.LOSSES.FOREGROUND = CN({"SCALE": 1.0})
    # ReconstructionBaseline: softmax over the reconstruction distances from each query of a batch
    # to the gallery images of the batch. Its weight, and the distance that divides a share by e.
    cfg.MODEL.LOSSES.RECONSTRUCTION = CN({"SCALE": 1.0, "TEMPERATURE": 0.02})
    # Softmax over all gallery images of the batch, or "soft_margin": the farthest image of the
    # person against the nearest of the others, by their difference divided by the temperature.
    cfg.MODEL.LOSSES.RECONSTRUCTION.KIND = "softmax"
    # kappa, as TEST.DSR.KAPPA, and how many of a query's columns are drawn for it.
    cfg.MODEL.LOSSES.RECONSTRUCTION.KAPPA = reconstruction.KAPPA
    cfg.MODEL.LOSSES.RECONSTRUCTION.COLUMNS = 32
    # Probability that they are drawn from the part of the map next to one of its four sides, and
    # the share of the map's height or width that is this part, from and to.
    cfg.MODEL.LOSSES.RECONSTRUCTION.PART = CN({"PROB": 0.0, "SHARE": (0.35, 0.9)})
    # DSR2018: the reconstruction verification loss, its weight, and the iteration it begins at.
    cfg.MODEL.LOSSES.VERIFICATION = CN({"SCALE": 1.0, "START_ITER": 0})
    # Pairs of a batch, half of one person and half of two.
    cfg.MODEL.LOSSES.VERIFICATION.PAIRS = 16
    # W: "lasso" as in DSR, with beta, or "ridge" as in SFR, with kappa.
    cfg.MODEL.LOSSES.VERIFICATION.CODES = "lasso"
    cfg.MODEL.LOSSES.VERIFICATION.LASSO_BETA = lasso.BETA
    cfg.MODEL.LOSSES.VERIFICATION.KAPPA = reconstruction.KAPPA
    # Largest violation of optimality of the sparse codes, as a share of beta. Codes of a network
    # that changes with every step need not be those of the last digit.
    cfg.MODEL.LOSSES.VERIFICATION.TOLERANCE = 1e-4

    # Where the data sets lie. Empty: FASTREID_DATASETS, and ./datasets without that.
    cfg.DATASETS.ROOT = ""
    # Identities of each training set that are not trained on. <Name>HeldOut, a test set, are these:
    # `partialreid select-lambda` chooses lambda by them.
    cfg.DATASETS.HELD_OUT = 0
    # Derived test sets, <Name>Partial (queries are cut), <Name>Occluded (queries are hidden in
    # part) and <Name>Small (queries are shrunk) of any <Name> with a query and a gallery: seed of
    # what is done to each query.
    cfg.DATASETS.DERIVED_SEED = 0
    cfg.DATASETS.DERIVED = CN()
    # <Name>Occluded: what stands before the person: drawn objects, parts of other test images, or
    # the one or the other.
    cfg.DATASETS.DERIVED.KIND = "mixed"  # "shapes", "pieces", "mixed"
    # <Name>Occluded: percent of the image that is hidden, from and to.
    cfg.DATASETS.DERIVED.SHARE = (20, 50)
    # <Name>Partial: "window" cuts rows above and below (AlignedReID++), "any" one side of the four.
    cfg.DATASETS.DERIVED.SIDES = "window"  # "window", "any"
    # <Name>Partial: percent of the height (of the width, for left and right) that is kept.
    cfg.DATASETS.DERIVED.PERCENT = (60, 90)
    # <Name>Small: percent of width and height that is left, from and to.
    cfg.DATASETS.DERIVED.SIZE = (30, 60)
    # Foreground masks of training images: a folder that holds them under the images' names relative
    # to the data root, with the suffix .png, white where the person is. Empty: there are none.
    cfg.DATASETS.MASKS = ""
    # Grey value, of 255, from which a pixel of a mask is the person.
    cfg.DATASETS.MASK_THRESHOLD = 128
    # SyntheticPartial: seed of everything drawn, and how many identities.
    cfg.DATASETS.SYNTHETIC = CN()
    cfg.DATASETS.SYNTHETIC.SEED = 0
    cfg.DATASETS.SYNTHETIC.TRAIN_IDS = 100
    cfg.DATASETS.SYNTHETIC.TEST_IDS = 60

    cfg.TEST.DSR = CN({"ENABLED": True})
    # kappa: weight of the ridge, ||q - G w||^2 + kappa ||w||^2, for columns of unit length.
    cfg.TEST.DSR.KAPPA = reconstruction.KAPPA
    # W: "ridge", or "lasso" as in DSR (2018), with beta; the distance is then the mean of
    # squared residuals, whatever SQUARED says.
    cfg.TEST.DSR.CODES = "ridge"
    cfg.TEST.DSR.LASSO_BETA = lasso.BETA
    # Largest violation of optimality of the sparse codes, as a share of beta.
    cfg.TEST.DSR.LASSO_TOLERANCE = lasso.TOLERANCE
    # Sum squared residuals in place of residuals.
    cfg.TEST.DSR.SQUARED = False
    # K: how many gallery images are reconstructed for each query (0: all).
    cfg.TEST.DSR.TOPK = shortlists.TOPK
    # Which ones. "coarse": the nearest by a rough reconstruction distance to the whole gallery;
    # "global": the nearest by the global distance, as in the original; "none": all. "auto": all
    # where that takes less time than the coarse search, as in small galleries and on a GPU.
    cfg.TEST.DSR.SHORTLIST = "coarse"
    # The rough distance: dimensions of its space, and the ridge in it, where few dimensions need a
    # large one.
    cfg.TEST.DSR.COARSE = CN()
    cfg.TEST.DSR.COARSE.DIMENSIONS = coarse.DIMENSIONS
    cfg.TEST.DSR.COARSE.KAPPA = coarse.KAPPA
    # About so many gallery images, evenly spaced, determine the space; more change no shortlist.
    cfg.TEST.DSR.COARSE.SAMPLE = SAMPLE
    # Distance that the others get.
    cfg.TEST.DSR.FILL = shortlists.FILL
    # lambda: fused = (1 - lambda) * global + lambda * reconstruction.
    cfg.TEST.DSR.LAMBDA = 0.8
    # "crossfit": each half of the test identities is ranked with the value of the best Rank-1 on
    # the other half. "fixed": LAMBDA is used; `partialreid select-lambda` finds one. "oracle": the
    # best Rank-1 on the test set itself, as the original does; its result is not one that a user
    # of the method can obtain.
    cfg.TEST.DSR.LAMBDA_SELECTION = "crossfit"
    # The values that crossfit and oracle choose from: 0 and its multiples below 1, and 1.
    cfg.TEST.DSR.LAMBDA_STEP = 0.01
    # "full": the whole gallery. "single-shot": one random gallery image of each identity, the mean
    # over SINGLE_SHOT_ROUNDS draws, as in the DSR papers.
    cfg.TEST.DSR.PROTOCOL = "full"
    cfg.TEST.DSR.SINGLE_SHOT_ROUNDS = single_shot.ROUNDS
    # Draws of the 95 % bootstrap interval over identities (0: none).
    cfg.TEST.DSR.BOOTSTRAP_ROUNDS = uncertainty.ROUNDS
    # Seed of halves, draws and rounds, and of what a data set of FastReID draws when it is read, as
    # VehicleID draws its gallery.
    cfg.TEST.DSR.PROTOCOL_SEED = 0
    # Cameras of the partial sets, which annotate none. "constant": query 0, gallery 1.
    # "filename": the second number of the file name on both sides, as the original reads it; the
    # rule that drops gallery images of the query's camera then drops true matches.
    cfg.TEST.DSR.CAMERAS = "constant"
    # Which distance the plain keys (Rank-1 ... mINP, metric) report.
    cfg.TEST.DSR.DISTANCE = "fused"  # "fused", "reconstruction", "global"
    # How the columns are kept between extraction and matching. Half formats are matched in float32,
    # float64 in float64, whose distances differ by 1e-6: enough to swap two equally near images.
    cfg.TEST.DSR.STORAGE = "float32"  # "float64", "float32", "float16", "bfloat16"
    # Memory of columns and matching of each process, in GB (10^9 bytes), on the device of the
    # network's outputs. No result depends on it but for rounding. Columns beyond three quarters
    # of it lie in a file in OUTPUT_DIR that vanishes with the evaluation; the matching takes the
    # rest, but at most 0.25 GB on a CPU and 2 GB on a GPU, beyond which it gets no faster.
    # "auto": on a GPU half of the memory that is free after the first batch. On a CPU 0.25 GB for
    # the matching and for columns 5 % of what is free, divided by the processes of the machine, at
    # most 4 GB: runtime/memory_budget.py says why so little is enough.
    cfg.TEST.DSR.MEMORY_GB = AUTO
    accept_words_and_numbers(cfg)

    # Seed of initial weights, sampling and augmentation. Negative: drawn anew and logged.
    cfg.SEED = 0
    # Iterations between two lines of the training log.
    cfg.LOG_PERIOD = 50


CHOICES = {
    "MODEL.DEVICE": DEVICES,
    "MODEL.CHANNELS_LAST": ("auto", "on", "off"),
    "MODEL.INFERENCE_DTYPE": INFERENCE_DTYPES,
    "INPUT.KEEP_RATIO": ("off", "fit", "gallery", "width", "height", "area"),
    "INPUT.CUT.STATISTICS": ("own", "running"),
    "DATASETS.DERIVED.KIND": (*KINDS, "mixed"),
    "DATASETS.DERIVED.SIDES": ("window", "any"),
    "INPUT.PADDING.MODE": ("constant", "edge", "reflect", "symmetric"),
    "SOLVER.SCHED": ("MultiStepLR", "CosineAnnealingLR"),
    "SOLVER.WARMUP_METHOD": ("constant", "linear", "exp"),
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": ("norm", "value"),
    "MODEL.HEADS.DSR.POOL": pyramid.POOLS,
    "MODEL.HEADS.NECK_FEAT": ("before", "after"),
    "MODEL.LOSSES.RECONSTRUCTION.KIND": ("softmax", "soft_margin"),
    "MODEL.LOSSES.VERIFICATION.CODES": ("lasso", "ridge"),
    "TEST.DSR.CODES": ("ridge", "lasso"),
    "TEST.DSR.LAMBDA_SELECTION": ("crossfit", "fixed", "oracle"),
    "TEST.DSR.PROTOCOL": ("full", "single-shot"),
    "TEST.DSR.CAMERAS": ("constant", "filename"),
    "TEST.DSR.DISTANCE": ("fused", "reconstruction", "global"),
    "TEST.DSR.SHORTLIST": ("coarse", "global", "none", "auto"),
    "TEST.DSR.STORAGE": ("float64", "float32", "float16", "bfloat16"),
}


def config_value(cfg: Any, key: str) -> Any:
    """The value of a dotted key, such as TEST.DSR.KAPPA."""
    for part in key.split("."):
        cfg = cfg[part]
    return cfg
