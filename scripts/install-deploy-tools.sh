#!/usr/bin/env bash
# Fetches what checks and renders the files under deploy/: Helm, the reader of Compose files, and the schemas of
# Kubernetes. Prints the directory that they are in, outside the checkout: bin/ and python/. What cannot be had is told,
# and missing there.
set -euo pipefail

cd "$(dirname "$0")/.."

HELM_VERSION=v3.19.5
COMPOSE_VERSION=v2.16.2
# What Helm takes for the cluster's version when it asks none.
KUBERNETES_MINOR=34

tools=${LEDGERMQ_CACHE:-$HOME/.cache/ledgermq}/deploy-tools
mkdir -p "$tools/bin"

# install_go NAME MODULE VERSION [FLAGS]: compiles a program once for each version.
install_go() {
  local name=$1 package=$2 version=$3 flags=${4:-}
  [ ! -x "$tools/bin/$name-$version" ] || return 0
  if ! command -v go >/dev/null; then
    echo "$name cannot be had: there is no go (https://go.dev/dl)" >&2
    return 0
  fi
  echo "Compiling $name $version, once" >&2
  local made
  made=$(mktemp -d "$tools/bin/new.XXXXXX")
  if GOBIN=$made go install -ldflags "$flags" "$package@$version" >&2; then
    mv "$made"/* "$tools/bin/$name-$version"
    ln -sfn "$name-$version" "$tools/bin/$name"
  else
    echo "$name cannot be had: go install $package@$version failed" >&2
  fi
  rm -rf "$made"
}

kubernetes=helm.sh/helm/v3/pkg/chartutil
install_go helm helm.sh/helm/v3/cmd/helm "$HELM_VERSION" \
  "-s -w -X $kubernetes.k8sVersionMajor=1 -X $kubernetes.k8sVersionMinor=$KUBERNETES_MINOR"
install_go compose-go github.com/compose-spec/compose-go/v2/cmd "$COMPOSE_VERSION" "-s -w"

wanted=$(cat deploy/checks/requirements.txt)
if [ "$(cat "$tools/python/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$tools/python"
  if python3 -m venv "$tools/python" >&2 &&
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check -r deploy/checks/requirements.txt >&2; then
    printf '%s\n' "$wanted" >"$tools/python/installed"
  else
    rm -rf "$tools/python"
    echo "the schemas of Kubernetes cannot be had: no venv, or pip failed" >&2
  fi
fi

echo "$tools"
