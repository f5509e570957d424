"""Where this ran, and with which versions of what is compared."""

from __future__ import annotations

import os
import platform

import boto3
import botocore

import rolekeeper


def load() -> str:
    return f"{os.getloadavg()[0]:.2f}"


def told(load_before: str) -> list[tuple[str, str]]:
    packages = (rolekeeper, botocore, boto3)
    versions = ", ".join(f"{package.__name__} {package.__version__}" for package in packages)
    return [
        ("load", f"{load_before} at the beginning, {load()} at the end"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("versions", versions),
    ]
