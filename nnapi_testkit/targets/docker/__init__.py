"""Emulators in containers: the target `docker:PROFILE` (docs/docker.md)."""

# ruff: noqa: E402 - what is missing is said before it is imported
from nnapi_testkit.targets.extras import needs

needs("docker", "emulators in containers", "docker", "adbutils", "requests")

from nnapi_testkit.targets.docker.doctor import Finding, examine
from nnapi_testkit.targets.docker.engine import Container, Engine
from nnapi_testkit.targets.docker.profiles import ImageProfile, find_profile, read_profiles
from nnapi_testkit.targets.docker.target import DockerTarget, docker_fleet, docker_target

__all__ = [
    "Container",
    "DockerTarget",
    "Engine",
    "Finding",
    "ImageProfile",
    "docker_fleet",
    "docker_target",
    "examine",
    "find_profile",
    "read_profiles",
]
