#!/usr/bin/env python3
"""Train and evaluate partial person re-identification.

    python3 projects/PartialReID/train_net.py --config-file projects/PartialReID/configs/demo.yml

`--eval-only MODEL.WEIGHTS x.pth` evaluates a checkpoint, `--resume` continues an interrupted run,
CUDA_VISIBLE_DEVICES or --num-gpus selects GPUs, and any config key can follow as KEY VALUE.
"""

import sys

try:
    from partialreid.command import main
except ImportError as error:
    sys.exit(
        f"{error}\nInstall with `make install`, or `pip install -e .` and then "
        "`pip install --no-deps fastreid==1.4.0`."
    )

if __name__ == "__main__":
    sys.exit(main())
