#!/usr/bin/env python3
"""Train and evaluate partial person re-identification: `partialreid train` under FastReID's name.

    python3 projects/PartialReID/train_net.py --config-file projects/PartialReID/configs/demo.yml

`--eval-only MODEL.WEIGHTS x.pth` evaluates a checkpoint, `--resume` continues an interrupted run,
CUDA_VISIBLE_DEVICES or --num-gpus selects GPUs, and any config key can follow as KEY VALUE.
"""

import sys

try:
    from partialreid.commands.train import main
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed: run `make install`, or `pip install -e .` here.")
except ImportError as error:
    sys.exit(str(error))

if __name__ == "__main__":
    sys.exit(main())
