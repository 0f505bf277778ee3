package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func testApp() *cli.App {
	return newApp([]string{"signet"}, terminal{os.Stdin, os.Stdout, os.Stderr})
}

// Every command says what it is good for and has an example that runs as it stands there.
func TestEveryCommandHasHelp(t *testing.T) {
	seen := 0
	var walk func(above string, commands []*cli.Command)
	walk = func(above string, commands []*cli.Command) {
		for _, c := range commands {
			name := above + " " + c.Name
			seen++
			_, examples, ok := strings.Cut(c.Description, "\n\nExample")
			if c.Usage == "" || !ok || !strings.Contains(examples, "\n   ") || !strings.Contains(examples, name) {
				t.Errorf("%s: the description has no example of it:\n%s", name, c.Description)
			}
			for _, line := range strings.Split(c.Description, "\n") {
				if len(line) > 100 {
					t.Errorf("%s: a line of %d characters: %s", name, len(line), line)
				}
			}
			walk(name, c.Subcommands)
		}
	}
	walk("signet", testApp().Commands)
	if seen < 18 {
		t.Errorf("%d commands: these cannot be all", seen)
	}
}

// Commands in what people read: quoted in texts, and lines of examples.
var (
	quoted  = regexp.MustCompile("['`]signet( [^'`]+)['`]")
	example = regexp.MustCompile("(?m)^ {3,4}(?:sudo )?signet((?: [^ \n`]+)+)")
	spaces  = regexp.MustCompile(`\s+`)
	parts   = regexp.MustCompile(`\n(?:\n|- |\|)`) // paragraphs, items, rows
)

// Nothing that people read advises a command or a flag that there is not, unless it says that
// it is to come later.
func TestAdviceCanBeFollowed(t *testing.T) {
	app, root := testApp(), filepath.Join("..", "..")
	found := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, root+"/")
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || name == "demo") {
			return skipOr(err)
		}
		if d.IsDir() || !strings.HasSuffix(name, ".md") && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s := string(text)
		if name == "docs/design.md" {
			s, _, _ = strings.Cut(s, "\n## 12. ")
		}
		for _, paragraph := range parts.Split(s, -1) {
			for _, m := range append(quoted.FindAllStringSubmatch(spaces.ReplaceAllString(paragraph, " "), -1), example.FindAllStringSubmatch(paragraph, -1)...) {
				if why := lacking(app, m[1]); why != "" && !strings.Contains(strings.ToLower(paragraph), "*later*") {
					t.Errorf("%s: signet%s: %s", name, m[1], why)
				}
				found[filepath.Ext(name)]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found[".go"] < 60 || found[".md"] < 30 {
		t.Errorf("found %v: this cannot be all", found)
	}
}

func skipOr(err error) error {
	if err == nil {
		return fs.SkipDir
	}
	return err
}

// lacking says what of a command line there is not.
func lacking(app *cli.App, line string) string {
	words := strings.Fields(strings.ReplaceAll(line, "%s", " "))
	var c *cli.Command
	among := app.Commands
	for len(among) > 0 && len(words) > 0 && words[0] == strings.ToLower(words[0]) && !strings.HasPrefix(words[0], "-") {
		if c = named(among, words[0]); c == nil {
			return "there is no command " + words[0]
		}
		words, among = words[1:], c.Subcommands
	}
	for _, w := range words {
		flag, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if c == nil || !strings.HasPrefix(w, "-") || flag == "help" {
			continue
		}
		if !slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), strings.Trim(flag, ".,;:")) }) {
			return "there is no flag " + w
		}
	}
	return ""
}
