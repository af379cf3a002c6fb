#!/bin/bash
# lint.sh: everything that can be said about the tree without running it, as TAP lines; 1 if something is wrong.
#
# A check is a function that prints what is wrong, and nothing when all is well.
. "$(dirname "$0")/common.sh"

number=0
failed=0
check() {
    local name=$1 wrong
    shift
    number=$((number + 1))
    if wrong=$("$@" 2>&1) && [ -z "$wrong" ]; then
        say "ok $number - $name"
    else
        say "not ok $number - $name"
        # shellcheck disable=SC2001 # every line gets the prefix
        sed 's/^/# /' <<<"$wrong"
        failed=$((failed + 1))
    fi
}

# Our C, our scripts: found in the tree, so that a new file is checked before it is in git.
c_files() { find src demo test bench -name '*.[ch]' 2>/dev/null | sort; }
shell_files() { { find scripts bench test demo -name '*.sh' 2>/dev/null; find .ci -type f; } | sort; }
text_files() {
    find . \( -name .git -o -path ./build -o -name results \) -prune -o -type f \
        \( -name '*.[ch]' -o -name '*.sh' -o -name '*.sql' -o -name '*.md' -o -name '*.mk' -o -name '*.pl' -o -name '*.py' \
        -o -name '*.out' -o -name '*.spec' -o -name '*.json' -o -name Makefile -o -path './.ci/*' \) -print
}

formatting() { c_files | xargs -r clang-format --dry-run -Werror; }

warnings() {
    build lint-compile
}

static_analysis() {
    # Generated and foreign headers are not ours to judge: only what lies in src is read.
    cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 \
        --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=uninitvar --suppress=nullPointerRedundantCheck \
        --suppress=normalCheckLevelMaxBranches --suppress=unmatchedSuppression --suppress=arrayIndexThenCheck -j "$(processors)" -I src \
        --template='{file}:{line}: {severity}: {message} [{id}]' src demo
}

scripts() { shell_files | xargs -r shellcheck -x; }

kernel_is_pure() {
    grep -nE '#include +["<](postgres|fmgr|compat|utils/|access/|executor/|catalog/|nodes/|storage/|miscadmin|varatt)' \
        src/kernel/*.[ch] || true
    grep -nE '#include +"\.\./' src/kernel/*.[ch] || true
}

engine_knows_no_wrappers() { grep -nE '#include +"(sql)/' src/engine/*.[ch] src/storage/*.[ch] 2>/dev/null || true; }

one_file_knows_threads() {
    grep -lE 'pthread\.h|threads\.h|omp\.h' -r src --include='*.[ch]' | grep -v '^src/kernel/parallel\.[ch]$' || true
}

# What the install script itself runs: bodies of functions, strings and comments do not count.
install_script_is_plain() {
    perl -0777 -ne 's/--[^\n]*|\/\*.*?\*\/|(\$\w*\$).*?\g{1}|\x27(?:[^\x27]|\x27\x27)*\x27/"\n" x ($& =~ tr{\n}{})/gse;
        while (/\bOR\s+REPLACE\b|\bIF\s+NOT\s+EXISTS\b/gi) {
            my $line = 1 + (substr($_, 0, pos) =~ tr/\n//);
            print "$ARGV:$line: $&\n";
        }' sql/[0-9]*.sql
}

files_are_small() {
    find src -name '*.[ch]' -exec wc -l {} + | awk '$2 != "total" && $1 > 900 { print $2 ": " $1 " lines, more than 900" }'
}

# Paths of somebody's machine. The system's own (/usr, /etc, /tmp, /proc, /sys, /dev, /bin) are no secret.
no_machine_paths() {
    text_files | xargs -r grep -nE "(^|[[:space:]\"'=(:])/(home|root|Users|mnt|media|work|workspace|srv|data)/[[:alnum:]]" || true
}

no_trailing_space() { text_files | grep -vE '\.(out|md)$' | xargs -r grep -nE '[[:space:]]+$' || true; }

# A database of any encoding must be able to read the install script, and messages must be text in all of them.
ascii_only() { LC_ALL=C grep -nP '[^\x00-\x7F]' sql/*.sql sql/updates/*.sql src/*/*.[ch] src/*.[ch] 2>/dev/null | grep -vE '^[^:]*\.[ch]:[0-9]+: *(/?\*|//)' || true; }

manifest() {
    local version
    version=$(sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" mastering.control)
    perl -MJSON::PP -e 'local $/; my $m = decode_json(<STDIN>);
        print "META.json: version $m->{version}, mastering.control: $ARGV[0]\n" if $m->{version} ne $ARGV[0];
        for my $file (map { $_->{file}, $_->{docfile} } values %{$m->{provides}}) {
            print "META.json names $file, which is not there\n" if $file && !-e $file;
        }' "$version" <META.json
    grep -qF "## $version" CHANGELOG.md || say "CHANGELOG.md has no section $version"
}

check 'clang-format' formatting
check 'compiles with -Wall -Wextra -Werror' warnings
check 'cppcheck' static_analysis
check 'shellcheck' scripts
check 'src/kernel includes nothing of PostgreSQL' kernel_is_pure
check 'src/engine and src/storage include nothing of src/sql' engine_knows_no_wrappers
check 'only src/kernel/parallel knows threads' one_file_knows_threads
check 'the install script has no OR REPLACE and no IF NOT EXISTS' install_script_is_plain
check 'no file of src is over 900 lines' files_are_small
check 'the update covers what cannot be replaced' scripts/upgrade.sh check
check 'no path of a particular machine' no_machine_paths
check 'no trailing white space' no_trailing_space
check 'the install script and messages are ASCII' ascii_only
check 'META.json, CHANGELOG.md and the control file agree' manifest

say "1..$number"
[ "$failed" -eq 0 ]
