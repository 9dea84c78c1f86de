#!/usr/bin/env bash
# Builds, tests and tries out SmcDr on a machine that has the .NET SDK and may lack everything else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 POWERSHELL_TELEMETRY_OPTOUT=1
readonly results=out/test-results
readonly tools=$PWD/out/tools

say() { printf 'build.sh: %s\n' "$*"; }
fail() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

usage() {
    cat <<'USAGE'
Usage: ./build.sh <command>

  drill [arguments]   bring what is missing, build, and rehearse a disaster on this machine:
                      a throwaway PostgreSQL and a Redis are lost and recovered; the report is out/drill.html
  test                bring what is missing, and run everything that CI runs; where SMCDR_TEST_UNTIL is a time
                      as 'date +%s' writes it, long tests that would begin after it are left out and named
  program             make the program smcdr in out/smcdr, to be copied to hosts without .NET
  bench [arguments]   bring what is missing, and measure against pgBackRest, pg_basebackup and
                      pg_dump on a throwaway server; takes about half an hour
  help                this text

On Debian, missing packages are installed by apt-get as root or through sudo; where neither may
be, what is there is used. Arguments of 'drill' go to 'smcdr drill' ('./build.sh drill --help'), those of 'bench' to
bench/database.py ('./build.sh bench --help'); with --write the results go to docs/benchmarks.
USAGE
}

# --- What the machine must have -------------------------------------------------------------------

as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

can_install() {
    command -v apt-get >/dev/null && { [[ $(id -u) -eq 0 ]] || sudo -n true 2>/dev/null; }
}

apt_install() {
    local -r install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@")
    mkdir -p out
    # The package lists of a fresh machine are empty, and those of an old one name files that are gone: then, and only then, update.
    if ! as_root "${install[@]}" >out/apt.log 2>&1; then
        as_root apt-get update -qq >>out/apt.log 2>&1 && as_root "${install[@]}" >>out/apt.log 2>&1 || {
            tail -n 15 out/apt.log >&2
            return 1
        }
    fi
}

postgres_directory() {
    local directory
    for directory in "$(pg_config --bindir 2>/dev/null || true)" $(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin | sort -rV); do
        if [[ -n $directory && -x $directory/initdb && -x $directory/pg_ctl ]]; then
            printf '%s\n' "$directory"
            return
        fi
    done
    directory=$(command -v initdb) && dirname "$directory"
}

install_postgres() {
    # Debian's package makes and starts a cluster 'main' when it is installed for the first time: a server on port 5432 that nobody
    # asked for. createcluster.conf includes this folder, so that a file which is there during the installation alone prevents it,
    # and no setting of the machine is changed for good. A policy-rc.d would hold back every other service as well.
    local -r folder=/etc/postgresql-common/createcluster.d
    local -r file=$folder/zz-smcdr.conf
    (
        # In a shell of its own, so that Ctrl+C in the middle takes the file away as well.
        trap 'as_root rm -f "$file"; as_root rmdir --ignore-fail-on-non-empty "$folder"' EXIT
        as_root mkdir -p "$folder"
        printf 'create_main_cluster = off\n' | as_root tee "$file" >/dev/null
        apt_install postgresql
    )
}

ensure_postgres() {
    local directory
    if directory=$(postgres_directory); then
        say "found $("$directory/postgres" --version) in $directory"
    elif can_install && install_postgres && directory=$(postgres_directory); then
        say "installed $("$directory/postgres" --version) in $directory, without a cluster"
    else
        fail "PostgreSQL's server programs (initdb, pg_ctl) are missing and cannot be installed by this account; run 'apt-get install postgresql' as root."
    fi
}

ensure_zstd() {
    # Not through grep -q, which ends at its first match and so makes ldconfig, and with pipefail the whole test, fail.
    local libraries
    libraries=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true)
    if [[ $libraries == *libzstd.so.1* ]]; then
        say 'found libzstd'
    elif can_install && apt_install libzstd1; then
        say 'installed libzstd1'
    else
        say 'libzstd is missing: backups are compressed by what .NET has, which is slower'
    fi
}

ensure_moto() {
    if [[ -x tests/tools/install-moto.sh ]]; then
        tests/tools/install-moto.sh || say 'moto could not be brought here: tests against S3 will fail'
    fi
}

# The programs given as <name> or <name>:<package>; the first argument says what is without them.
ensure_programs() {
    local -r otherwise=$1
    local program package
    for program in "${@:2}"; do
        package=${program#*:}
        program=${program%%:*}
        if command -v "$program" >/dev/null; then
            say "found $program"
        elif can_install && apt_install "$package"; then
            say "installed $program"
        else
            say "$program is missing: $otherwise"
        fi
    done
}

# What the tests of the stand-alone reader need: with these two alone a repository must be readable.
ensure_reader() {
    ensure_programs 'tests of the stand-alone reader will fail' python3 zstd
}

# A Redis server for tests, from the package that brings no service: Debian's redis-server package adds little more than a link to
# this one's programs and a unit that would run from the next start of the machine on.
ensure_redis() {
    ensure_programs 'tests of Redis will fail' redis-cli:redis-tools
}

# A DNS server for tests, from the package that brings no service either.
ensure_dns() {
    ensure_programs 'tests of DNS will fail' dnsmasq:dnsmasq-base
}

ensure_dotnet() {
    command -v dotnet >/dev/null || fail 'the .NET SDK is missing; install .NET SDK 10 and put dotnet on the path.'
    # On a machine without ICU not even 'dotnet --version' runs; PostgreSQL brings ICU with it, so this comes after it.
    say "found .NET SDK $(dotnet --version)"
}

# What 'pwsh' lacks for the module's tests, in a sentence; nothing where all is there.
powershell_lacks() {
    if ! command -v pwsh >/dev/null; then
        printf 'PowerShell (pwsh) is not here'
        return
    fi
    pwsh -NoProfile -NonInteractive -Command '
        if ($PSVersionTable.PSVersion -lt [version]"7.6") { "PowerShell is older than 7.6" }
        elseif (-not (Get-Module -ListAvailable -Name Pester | Where-Object Version -ge "5.0")) { "Pester 5 is not here" }'
}

# Brings PowerShell as a .NET tool and Pester as a package, both below out/, where the machine has none and the package feed has them.
ensure_powershell() {
    export PATH=$PATH:$tools PSModulePath=$tools/Modules${PSModulePath:+:$PSModulePath}
    mkdir -p "$tools/Modules"
    # Not the newest: that is for the next .NET.
    if ! command -v pwsh >/dev/null && dotnet tool install PowerShell --version 7.6.9 --tool-path "$tools" >out/powershell.log 2>&1; then
        say 'installed PowerShell 7.6.9 in out/tools'
    fi
    if [[ $(powershell_lacks) == Pester* ]] && dotnet restore tests/tools/pester --packages "$tools/packages" -v quiet >out/pester.log 2>&1; then
        mkdir -p "$tools/Modules/Pester"
        cp -R "$tools/packages/pester/5.9.1/tools" "$tools/Modules/Pester/5.9.1"
        say 'installed Pester 5.9.1 in out/tools'
    fi
}

# --- Commands -------------------------------------------------------------------------------------

drill() {
    ensure_postgres
    ensure_zstd
    ensure_programs 'Redis is left out of the drill' redis-cli:redis-tools
    ensure_dotnet
    dotnet build src/SmcDr.Cli -c Release -v quiet
    local report=(--report out/drill.html)
    local argument
    for argument in "$@"; do
        if [[ $argument == --report || $argument == --report=* ]]; then
            report=()
        fi
    done
    mkdir -p out
    exec src/SmcDr.Cli/bin/Release/net10.0/smcdr drill "${report[@]}" "$@"
}

# Without ICU, as in the container image: hosts need libzstd and OpenSSL alone.
program() {
    ensure_dotnet
    rm -rf out/smcdr
    dotnet publish src/SmcDr.Cli -c Release --use-current-runtime --self-contained -p:InvariantGlobalization=true -o out/smcdr -v quiet -nologo -p:RunAnalyzers=false
    say "made out/smcdr/smcdr; copy the folder to where every account may run it, such as /opt, and link the program from a directory of the search path"
}

bench() {
    ensure_postgres
    ensure_zstd
    ensure_programs 'the benchmark cannot run' python3 zstd openssl pgbackrest aws:awscli
    ensure_moto
    ensure_dotnet
    # As it is handed out: compiled for this platform.
    dotnet publish src/SmcDr.Cli -c Release --use-current-runtime --self-contained false -o out/cli -v quiet -nologo -p:RunAnalyzers=false
    exec bench/database.py --smcdr out/cli/smcdr "$@"
}

# Prints "passed failed skipped" of all .trx files. What was executed and did not pass failed, whatever the reason is called.
count_trx() {
    find "$results/xunit" -name '*.trx' -exec grep -ho '<Counters [^>]*>' {} + | awk '
        function value(name,    text) {
            if (!match($0, " " name "=\"[0-9]+\"")) { return 0 }
            text = substr($0, RSTART, RLENGTH)
            gsub(/[^0-9]/, "", text)
            return text + 0
        }
        { passed += value("passed"); failed += value("executed") - value("passed"); skipped += value("total") - value("executed") }
        END { print passed + 0, failed + 0, skipped + 0 }'
}

# The names of the tests that failed, and the beginning of what each said: that lies far above by the end of a long run.
print_failed() {
    find "$results/xunit" -name '*.trx' -print0 | xargs -0 -r python3 -c '
import sys
from xml.etree import ElementTree

NAMES = {"t": "http://microsoft.com/schemas/VisualStudio/TeamTest/2010"}
for path in sys.argv[1:]:
    for result in ElementTree.parse(path).iterfind(".//t:UnitTestResult", NAMES):
        if result.get("outcome") == "Failed":
            print("build.sh: failed:", result.get("testName"))
            for part in ("Message", "StackTrace"):
                said = result.findtext(f".//t:ErrorInfo/t:{part}", "", NAMES)
                for line in said.splitlines()[:8]:
                    print("    ", line[:300])
' || true
    if [[ -f $results/pester-failed.txt ]]; then
        sed -E 's/^([^ ])/build.sh: failed: \1/; s/^(.{300}).*/\1/' "$results/pester-failed.txt"
    fi
}

# Classes of tests that take minutes each; those of a line run side by side, and all others before them.
readonly long_tests=(
    'RegionFailoverTests RegionFailbackTests RegionNetworkTests'
    'RegionReplicaTests RegionClusterTests RunbookRunTests'
    'RegionWholeSiteTests RegionRequestTests'
    'PodRecoveryTests RecoveryTestPodTests RedisPodRestoreTests'
    'ClusterSystemTests SystemRestoreTests JobRunTests'
    'RepositoryTortureTests WalTortureTests SynchronousKillTests'
    'KillTests SpillKillTests DrillTests DrillRedisTests'
)

# The long tests, line by line. Where SMCDR_TEST_UNTIL is a time as 'date +%s' writes it, none begins after it and what is left out is said: a machine
# that is slow today then still comes to an end. Each day begins with another line, so that it is not always the same ones.
run_long_tests() {
    local -r count=${#long_tests[@]}
    local -r first=$((10#$(date +%j) % count))
    local i line ended=0
    for ((i = 0; i < count; i++)); do
        line=${long_tests[(first + i) % count]}
        if [[ -n ${SMCDR_TEST_UNTIL:-} && $(date +%s) -ge $SMCDR_TEST_UNTIL ]]; then
            say "left out for lack of time: $line"
        else
            dotnet test SmcDr.sln -c Release --no-build --logger trx --results-directory "$results/xunit" --filter "$(filter_of '~' '|' "$line")" || ended=1
        fi
    done
    return $ended
}

# A filter of tests by classes: an operator, what stands between two, and the classes.
filter_of() {
    local class text=
    for class in $3; do
        text+=${text:+$2}FullyQualifiedName$1.$class.
    done
    printf '%s' "$text"
}

run_tests() {
    ensure_postgres
    ensure_zstd
    ensure_reader
    ensure_redis
    ensure_dns
    ensure_moto
    ensure_dotnet
    ensure_powershell
    rm -rf "$results"
    mkdir -p "$results"

    dotnet build SmcDr.sln -c Release -v quiet -warnaserror
    local broken=0 passed failed skipped
    # The program that tests start and kill, as it is handed out: compiled for this platform it takes a fraction of the processor time to start.
    if dotnet publish src/SmcDr.Cli -c Release --use-current-runtime --self-contained false -o out/test-cli -v quiet -nologo -p:RunAnalyzers=false; then
        export SMCDR_TEST_PROGRAM=$PWD/out/test-cli/SmcDr.Cli.dll
    else
        say "smcdr cannot be published: tests start it as it was built"
        broken=1
    fi
    # The image of this very build, or none: one of an earlier day would prove nothing.
    rm -f out/smcdr-*-oci.tar
    if [[ -n ${SMCDR_TEST_IMAGE_LOADER:-} ]]; then
        if ! command -v pwsh >/dev/null; then
            say "left out: PowerShell (pwsh) is not here, so the container image was not made and is not run"
        elif ! pwsh -NoProfile -NonInteractive -File build.ps1 -Task Image; then
            say "the container image cannot be made: it is not run"
            broken=1
        fi
    fi
    dotnet test SmcDr.sln -c Release --no-build --logger trx --results-directory "$results/xunit" --filter "$(filter_of '!~' '&' "${long_tests[*]}")" || broken=1

    local lacking pester=
    lacking=$(powershell_lacks)
    if [[ -n $lacking ]]; then
        say "left out: $lacking, so the module, its Pester tests and the script analysis did not run"
    else
        pwsh -NoProfile -NonInteractive -Command './build.ps1 -Task Build, Test' || broken=1
        pwsh -NoProfile -NonInteractive -File build.ps1 -Task Analyze || broken=1
        if [[ -f $results/pester.json ]]; then
            pester=$(tr -d '\n ' <"$results/pester.json")
        else
            say "the Pester run ended early: its tests are not in the numbers below"
            broken=1
        fi
    fi

    run_long_tests || broken=1
    read -r passed failed skipped < <(count_trx)
    if [[ -n $pester ]]; then
        passed=$((passed + $(sed -E 's/.*"passed":([0-9]+).*/\1/' <<<"$pester")))
        failed=$((failed + $(sed -E 's/.*"failed":([0-9]+).*/\1/' <<<"$pester")))
        skipped=$((skipped + $(sed -E 's/.*"skipped":([0-9]+).*/\1/' <<<"$pester")))
    fi

    if [[ $broken -ne 0 && $failed -eq 0 ]]; then
        say "a run of tests ended early: what it did not reach is not in the numbers below"
    fi

    print_failed
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    # A run in which nothing ran proves nothing.
    [[ $broken -eq 0 && $failed -eq 0 && $passed -gt 0 ]]
}

case ${1:-help} in
    drill)
        shift
        drill "$@"
        ;;
    test)
        [[ $# -eq 1 ]] || fail "'test' takes no arguments."
        run_tests
        ;;
    program)
        [[ $# -eq 1 ]] || fail "'program' takes no arguments."
        program
        ;;
    bench)
        shift
        bench "$@"
        ;;
    help | -h | --help)
        usage
        ;;
    *)
        usage >&2
        exit 2
        ;;
esac
