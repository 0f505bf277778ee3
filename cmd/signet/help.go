package main

import (
	"github.com/urfave/cli/v2"
)

// The texts of help. Commands on top, flags at the end, examples before them.
const (
	appTemplate = `signet: {{.Usage}}

Usage:
   {{.UsageText}}

{{.Description}}

Commands:{{range .VisibleCommands}}
   {{.Name}}{{"\t"}}{{.Usage}}{{end}}
`
	commandTemplate = `{{.HelpName}}: {{.Usage}}

Usage:
   {{.HelpName}}{{if .Subcommands}} COMMAND{{end}} [flags]{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}
{{if .Description}}
{{.Description}}
{{end}}{{if .Subcommands}}
Commands:{{range .VisibleCommands}}
   {{.Name}}{{"\t"}}{{.Usage}}{{end}}
{{end}}
Flags:{{range .VisibleFlags}}
   {{.}}{{end}}
`
)

const appHelp = `Every host runs this one program and mounts the same directory. What is written there is
sealed on the host that wrote it and kept on several hosts of the ring.

On the first host:     signet init --mount /mnt/signet
On every other host:   signet join --mount /mnt/signet
To see how it is:      signet status

'signet help COMMAND' tells more about a command. Flags stand before arguments. Every command
takes --state DIR (which host of this machine, if there are several) and --json.`

const helpHelp = `Tells what a command does, with examples and its flags. --help after a command does the same.

Examples:
   signet help mount
   signet help token create`

// helpCommand takes the place of the library's, which knows only one level of commands.
func helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Aliases: []string{"h"}, Usage: "tell more about a command", ArgsUsage: "[COMMAND]", HideHelp: true,
		Description: helpHelp,
		Action: action(0, 2, func(c *cli.Context) error {
			if !c.Args().Present() {
				return cli.ShowAppHelp(c)
			}
			var found *cli.Command
			among := c.App.Commands
			for _, name := range c.Args().Slice() {
				if found = named(among, name); found == nil {
					return unknownCommand(name, among)
				}
				among = found.Subcommands
			}
			cli.HelpPrinter(c.App.Writer, commandTemplate, found)
			return nil
		}),
	}
}

func named(among []*cli.Command, name string) *cli.Command {
	for _, c := range among {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func unknownCommand(name string, among []*cli.Command) error {
	for _, c := range among {
		if alike(name, c.Name) {
			return usage("there is no command %q: did you mean %q?", name, c.Name)
		}
	}
	return usage("there is no command %q: 'signet help' lists all", name)
}

// alike says whether one letter more, less or other makes a of b.
func alike(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return a == b
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return a[i:] == b[i+1:] || len(a) == len(b) && a[i+1:] == b[i+1:]
}
