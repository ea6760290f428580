#!/usr/bin/env bash
# A release: ci/release.sh VERSION [--dry-run]
#
# Looks at everything first, and changes nothing before all of it is right: one version in all
# places, a section of the changelog, a clean tree on main. Then builds the source distribution, the
# wheel from it, their checksums into dist/, and tags. --dry-run leaves the tag out.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:-}
dry=${2:-}
stop() { echo "release: $1" >&2; exit 2; }
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || stop "name the version, as in ci/release.sh 0.2.0"
[[ -z $dry || $dry == --dry-run ]] || stop "unknown option $dry: only --dry-run exists"

declared=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
[[ $declared == "$version" ]] || stop "pyproject.toml says version $declared: change it first"
grep -q "^## \[$version\]" CHANGELOG.md || stop "CHANGELOG.md has no section [$version]: rename [Unreleased]"
if [[ -z $dry ]]; then
    [[ -z $(git status --porcelain) ]] || stop "the tree has changes: commit them"
    [[ $(git rev-parse --abbrev-ref HEAD) == main ]] || stop "releases are made on main"
    ! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || stop "v$version exists already"
fi

rm -rf dist
"${PYTHON:-.venv/bin/python}" -m build ${RELEASE_BUILD_ARGUMENTS:-} --outdir dist .
ls dist/*.tar.gz dist/*.whl >/dev/null || stop "the build left no archives"
for file in dist/*; do
    [[ $file == *"$version"* ]] || stop "$file is of another version"
done
(cd dist && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
if [[ -n $dry ]]; then
    echo "dry run: not tagged"
    exit 0
fi
git tag -a "v$version" -m "nnapi-testkit $version"
echo "tagged v$version: push it, and publish dist/"
