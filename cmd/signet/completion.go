package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

const completionHelp = `Prints a script that lets the shell complete commands and flags.

Examples:
   signet completion bash > /etc/bash_completion.d/signet
   signet completion zsh > "${fpath[1]}/_signet"
   signet completion fish > ~/.config/fish/completions/signet.fish`

const bashCompletion = `_signet() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
	[[ $cur == -* ]] && words+=("$cur")
	COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o default -F _signet signet
`

const zshCompletion = `#compdef signet
_signet() {
	local -a words_so_far candidates
	words_so_far=("${(@)words[1,CURRENT-1]}")
	[[ $PREFIX == -* ]] && words_so_far+=("$PREFIX")
	candidates=("${(@f)$("${words_so_far[@]}" --generate-bash-completion 2>/dev/null)}")
	compadd -a candidates
	_files
}
compdef _signet signet
`

func completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "a script for the shell's completion", ArgsUsage: "bash|zsh|fish", Description: completionHelp,
		Action: action(1, 1, func(c *cli.Context) error {
			text := ""
			switch shell := c.Args().First(); shell {
			case "bash":
				text = bashCompletion
			case "zsh":
				text = zshCompletion
			case "fish":
				var err error
				if text, err = c.App.ToFishCompletion(); err != nil {
					return err
				}
			default:
				return usage("completion: no script for %q: there are bash, zsh and fish", shell)
			}
			_, err := fmt.Fprint(c.App.Writer, text)
			return err
		}),
	}
}
