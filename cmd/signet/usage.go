package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// refuseSecrets finds secrets on the command line, which every user of the machine can
// read. It never repeats them.
func refuseSecrets(args []string) error {
	for _, a := range args[1:] {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		flag := strings.HasPrefix(a, "-")
		switch {
		case strings.Contains(a, "signet1-"), flag && slices.Contains([]string{"token", "join-token"}, name):
			return usage("a join token on the command line can be read by every user of this machine, and stays in the shell's history: put it into a file and give --token-file FILE, or let 'signet join' ask for it. Revoke the one you gave with 'signet token revoke', if others work on this machine")
		case strings.Contains(strings.ToUpper(a), "SGN1-"), flag && slices.Contains([]string{"recovery-key", "recovery"}, name):
			return usage("a recovery key on the command line can be read by every user of this machine, and stays in the shell's history: put it into a file")
		case flag && slices.Contains([]string{"passphrase", "password", "pass"}, name):
			return usage("a passphrase on the command line can be read by every user of this machine, and stays in the shell's history: put it into a file and give --passphrase-file FILE")
		}
	}
	return nil
}

// action checks a command's arguments before it runs: between least and most of them,
// and none that looks like a flag.
func action(least, most int, f func(c *cli.Context) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		args := c.Args().Slice()
		if !slices.Contains(rawArgs(c), "--") {
			for _, a := range args {
				if len(a) > 1 && a[0] == '-' {
					return usage("flags stand before arguments, and %q comes after one. Say: %s", a, corrected(c))
				}
			}
		}
		switch {
		case len(args) < least:
			return usage("%s is missing. Say: %s", missing(c, len(args)), usageLine(c))
		case len(args) > most:
			if c.Command.Name == "join" {
				return usage("join takes no arguments: the token comes from --token-file FILE, from standard input, or is asked for, because every user of this machine can read a command line")
			}
			return usage("too many arguments: %s. Say: %s", quoteAll(args[most:]), usageLine(c))
		}
		return f(c)
	}
}

// group is the action of a command that only has others below it.
func group(c *cli.Context) error {
	var names []string
	for _, s := range c.Command.Subcommands {
		if !s.Hidden && s.Name != "help" {
			names = append(names, s.Name)
		}
	}
	if c.Args().Present() {
		return usage("%s has no command %q: it has %s", c.Command.HelpName, c.Args().First(), strings.Join(names, ", "))
	}
	return usage("say which: %s %s", c.Command.HelpName, strings.Join(names, "|"))
}

func usageLine(c *cli.Context) string {
	return strings.TrimSpace(c.Command.HelpName + " [flags] " + c.Command.ArgsUsage)
}

func missing(c *cli.Context, have int) string {
	names := strings.Fields(c.Command.ArgsUsage)
	if have < len(names) {
		return names[have]
	}
	return "an argument"
}

// rawArgs returns the command line as it was given.
func rawArgs(c *cli.Context) []string {
	if raw, ok := c.App.Metadata["args"].([]string); ok {
		return raw
	}
	return nil
}

// corrected returns the command line with all flags before the arguments.
func corrected(c *cli.Context) string {
	var flags, rest []string
	args := c.Args().Slice()
	raw := rawArgs(c)
	head := raw[:len(raw)-len(args)] // up to the first argument all was understood
	for i := 0; i < len(args); i++ {
		a := args[i]
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		if takesValue(c, a) && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return quoteAll(slices.Concat([]string{"signet"}, head[1:], flags, rest))
}

// takesValue says whether a flag's value is the next word.
func takesValue(c *cli.Context, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, x := range c.Lineage() {
		if x.Command == nil {
			continue
		}
		for _, f := range x.Command.Flags {
			if slices.Contains(f.Names(), name) {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
}

// quoteAll joins words as a shell would read them.
func quoteAll(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$&|;<>()*?[]#~`!{}") {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}
