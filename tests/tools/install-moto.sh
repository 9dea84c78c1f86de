#!/usr/bin/env bash
# Brings moto, the S3 and Route53 server of the tests, to this machine. Run it as often as you like.
#
#   root:  Debian's packages are installed; what this release lacks is unpacked below /usr/local/lib/smcdr-tools.
#   user:  nothing is installed; everything is unpacked below ~/.cache/smcdr-tools.
#
# SMCDR_TOOLS names another folder than these two. The tests look in the same places (MotoInstallation.cs).
set -euo pipefail

readonly python=/usr/bin/python3
readonly later_release=trixie   # The first Debian release that has python3-moto.
readonly needed=(
    python3-antlr4 python3-boto3 python3-cryptography python3-dateutil python3-flask python3-flask-cors
    python3-jinja2 python3-requests python3-responses python3-werkzeug python3-xmltodict python3-yaml
)

say() { printf 'install-moto: %s\n' "$*"; }
fail() { printf 'install-moto: %s\n' "$*" >&2; exit 1; }

if [[ $(id -u) -eq 0 ]]; then
    tools=${SMCDR_TOOLS:-/usr/local/lib/smcdr-tools}
else
    tools=${SMCDR_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/smcdr-tools}
fi
readonly tools
readonly target=$tools/moto

works() { [[ -x $python ]] && PYTHONPATH=$1 "$python" -c 'import moto.server' 2>/dev/null; }

for folder in "$target" /usr/local/lib/smcdr-tools/moto; do
    if works "$folder"; then
        say "moto is there already (Debian's own packages or $folder); nothing to do."
        exit 0
    fi
done

command -v apt-get >/dev/null || fail "this is no Debian system (apt-get is missing): install moto's server for $python by other means, or do without the S3 tests."
[[ -x $python ]] || [[ $(id -u) -eq 0 ]] || fail "$python is missing and only root can install it."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/unpacked"

# Packages of this release: root installs them, anybody else only unpacks those that are missing.
if [[ $(id -u) -eq 0 ]]; then
    say "installing ${needed[*]} and what they depend on."
    apt-get update -qq || fail "apt-get update did not work: see above."
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 "${needed[@]}" >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; fail "the packages above could not be installed."; }
else
    apt-get install --simulate --no-install-recommends "${needed[@]}" >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; fail "apt-get does not know how to provide ${needed[*]}; has 'apt-get update' ever been run here?"; }
    mapfile -t missing < <(awk '$1 == "Inst" { print $2 }' "$work/log")
    if ((${#missing[@]} > 0)); then
        say "downloading, without installing: ${missing[*]}."
        (cd "$work/debs" && apt-get download -qq "${missing[@]}") ||
            fail "the packages above could not be downloaded; is the package list of this machine too old?"
    fi
fi

# moto itself, from this machine's own sources where they have it, else from the same mirror's later release. That release's
# lists are kept apart, so that nothing else on this machine ever comes from it.
if [[ $(apt-cache policy python3-moto 2>/dev/null | awk '$1 == "Candidate:" { print $2 }') == [0-9]* ]]; then
    say "downloading python3-moto."
    (cd "$work/debs" && apt-get download -qq python3-moto) || fail "python3-moto could not be downloaded."
else
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "main" && $3 !~ /-/ { print $4; exit }')
    [[ -n $mirror ]] || fail "the sources of this machine hold neither python3-moto nor a Debian main archive to take it from."
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -r $keyring ]] || fail "$keyring is missing: without it no package of Debian can be trusted."
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$later_release" >"$work/sources.list"
    cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
// Some machines clean the system's own cache after each update, which is neither needed here nor allowed to users.
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    apart=(-c "$work/apt.conf")
    say "downloading python3-moto of Debian $later_release."
    apt-get "${apart[@]}" update -qq || fail "the package lists of Debian $later_release could not be read."
    (cd "$work/debs" && apt-get "${apart[@]}" download -qq python3-moto) || fail "python3-moto could not be downloaded."
fi

for package in "$work"/debs/*.deb; do
    say "unpacking $(basename "$package")."
    dpkg-deb -x "$package" "$work/unpacked"
done

works "$work/unpacked/usr/lib/python3/dist-packages" ||
    { PYTHONPATH=$work/unpacked/usr/lib/python3/dist-packages "$python" -c 'import moto.server' 2>&1 | tail -n 1 >&2
      fail "moto was downloaded but does not start with $python: see above."; }

# In one rename, so that a killed run leaves nothing that looks finished.
mkdir -p "$tools"
rm -rf "$target" "$target.new"
cp -R "$work/unpacked/usr/lib/python3/dist-packages" "$target.new"
mv -T "$target.new" "$target"
chmod -R a+rX "$tools"
say "moto is ready in $target."
