"""Shell completion: the script a shell loads, and the answer it gets for a line (spec/cli.md §14.6)."""

import shlex
from collections.abc import Iterator
from typing import Any

from dipeo_cli import candidates, output
from dipeo_cli.candidates import Candidate
from dipeo_cli.errors import Usage

# A word may hold spaces; COMPREPLY takes it as it is to be typed.
BASH = r"""_dipeo() {
  local line="${COMP_LINE:0:COMP_POINT}" word="${COMP_WORDS[COMP_CWORD]}" full lead each
  full="${line##* }"; lead="${full%"$word"}"
  COMPREPLY=()
  while IFS=$'\t' read -r each _; do
    each="${each#"$lead"}"
    [[ "$each" == *' '* ]] && printf -v each '%q' "$each"
    COMPREPLY+=("$each")
  done < <(dipeo complete-line "$line" 2>/dev/null)
}
complete -o default -o nosort -F _dipeo dipeo
"""
ZSH = r"""#compdef dipeo
_dipeo() {
  local line value help
  local -a found
  for line in "${(@f)$(dipeo complete-line "${LBUFFER}" 2>/dev/null)}"; do
    value="${line%%$'\t'*}"; help="${line#*$'\t'}"
    [[ -n "$value" ]] && found+=("${value//:/\\:}:${help}")
  done
  if (( $#found )); then _describe -V dipeo found; else _files; fi
}
compdef _dipeo dipeo
"""
FISH = """function __dipeo_complete
  set -l found (dipeo complete-line (commandline -cp) 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c dipeo -f -a '(__dipeo_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: str) -> int:
    if shell not in SCRIPTS:
        raise Usage(f"completion {shell}: {', '.join(SCRIPTS)}")
    print(SCRIPTS[shell], end="")
    return 0


def complete(root: Any, line: str) -> int:
    """Print candidates for the last word of a line, `value<TAB>meaning` each. Never an error: nobody would see it."""
    words = _words(line)[1:]
    word = "" if line.endswith(" ") or not words else words.pop()
    for value, meaning in offered(root, words, word):
        output.answer(f"{value}\t{meaning}")
    return 0


def _words(line: str) -> list[str]:
    """As the shell takes them; a quote may still be open."""
    for closing in ("", '"', "'"):
        try:
            return shlex.split(line + closing)
        except ValueError:
            continue
    return line.split()


def offered(root: Any, words: list[str], word: str) -> list[Candidate]:
    """`words` stand before the one that is being typed."""
    command, given, awaiting = _walk(root, words)
    if awaiting is not None:
        found = candidates.of(_kind(awaiting), command.name, awaiting, given, words)
    elif word.startswith("-"):
        found = _options(command, root)
    elif hasattr(command, "commands"):
        found = ((name, _short(each)) for name, each in command.commands.items() if not each.hidden)
    else:
        argument = _next_argument(command, len(given))
        found = candidates.of(_kind(argument), command.name, argument, given, words) if argument else iter(())
    return [(value, meaning) for value, meaning in found if value.startswith(word)]


def _walk(root: Any, words: list[str]) -> tuple[Any, list[str], Any]:
    """(the command meant, its positional words so far, the option whose value comes next)."""
    command, given, awaiting = root, [], None  # type: Any, list[str], Any
    for word in words:
        if awaiting is not None:
            awaiting = None
        elif word.startswith("-"):
            option = _option(command, word) or _option(root, word)
            takes_value = option is not None and not option.is_flag and not option.count
            awaiting = option if takes_value and "=" not in word else None
        elif hasattr(command, "commands"):
            command = command.commands.get(word, command)
        else:
            given.append(word)
    return command, given, awaiting


def _option(command: Any, word: str) -> Any:
    name = word.partition("=")[0]
    return next((each for each in command.params if name in (*each.opts, *each.secondary_opts)), None)


def _options(command: Any, root: Any) -> Iterator[Candidate]:
    for each in (*command.params, *(root.params if command is not root else ())):
        if getattr(each, "hidden", False) or each.param_type_name != "option":
            continue
        yield max(each.opts, key=len), each.help or ""


def _short(command: Any) -> str:
    return str(command.get_short_help_str(60))


def _next_argument(command: Any, given: int) -> Any:
    """The positional parameter that the next word is for; None when there is no further one."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    if given < len(arguments):
        return arguments[given]
    return arguments[-1] if arguments and arguments[-1].nargs == -1 else None


def _kind(parameter: Any) -> str:
    """What its value is: the word the help shows for it, without the brackets and dots."""
    return str(parameter.metavar or "").strip("[].")
