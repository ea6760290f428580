"""Emulators in containers: the target `docker:PROFILE` (docs/docker.md)."""

from nnapi_testkit.targets.docker.doctor import Finding, examine
from nnapi_testkit.targets.docker.engine import Container, Engine
from nnapi_testkit.targets.docker.profiles import Profile, find_profile, read_profiles
from nnapi_testkit.targets.docker.target import DockerTarget, docker_fleet, docker_target

__all__ = [
    "Container",
    "DockerTarget",
    "Engine",
    "Finding",
    "Profile",
    "docker_fleet",
    "docker_target",
    "examine",
    "find_profile",
    "read_profiles",
]
