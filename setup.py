"""Packaging: maps `import partialreid` to projects/PartialReID/partialreid.

The configs lie beside the package in the repository, where FastReID's users look for them, and
inside it in a wheel; so does the released model, which lies in models/.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

PROJECT = "projects/PartialReID"
INIT = Path(PROJECT, "partialreid", "__init__.py")
VERSION = re.search(r'^__version__ = "(.+)"$', INIT.read_text(encoding="utf-8"), re.M)

# What fastreid 1.4.0 and this plugin really need. fastreid itself is not listed: its own pins
# (torch==1.13.1, ...) contradict current Python, so it goes in with `pip install --no-deps`.
REQUIREMENTS = [
    "torch>=2.4",
    "torchvision>=0.19",
    "numpy",
    "scipy",
    "safetensors",
    "scikit-learn",
    "faiss-cpu",
    "opencv-python-headless",
    "pillow>=10.1",
    "matplotlib",
    "pyyaml",
    "yacs",
    "tabulate",
    "termcolor",
    "tensorboard",
    "psutil",
    "tqdm",
    "filelock",
    "setuptools",
]
# For those who name one of its networks in MODEL.BACKBONE.TIMM.
TIMM = ["timm>=1.0"]
# For `partialreid export` into a file of ONNX; to run one, onnxruntime is enough.
ONNX = ["onnx", "onnxscript", "onnxruntime"]
# The first setuptools that builds a wheel by itself, which a test does.
DEVELOPMENT = ["pytest", "pytest-xdist>=3.7", "ruff", "mypy", "setuptools>=70.1", *TIMM, *ONNX]

setup(
    name="partialreid",
    version=VERSION[1],
    description="Partial and occluded person re-identification on FastReID",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[
        *find_packages(PROJECT, include=["partialreid*"]),
        "partialreid.configs",
        "partialreid.models",
    ],
    package_dir={
        "": PROJECT,
        "partialreid.configs": f"{PROJECT}/configs",
        "partialreid.models": "models",
    },
    package_data={
        "partialreid": ["py.typed", "reporting/*.html"],
        "partialreid.configs": ["*.yml"],
        "partialreid.models": ["*.safetensors", "README.md"],
    },
    entry_points={"console_scripts": ["partialreid = partialreid.commands.dispatch:main"]},
    install_requires=REQUIREMENTS,
    extras_require={"timm": TIMM, "onnx": ONNX, "dev": DEVELOPMENT},
)
