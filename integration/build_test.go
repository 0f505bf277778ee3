package integration

// goHow is how Go is called here: its cache is on the mount, and it loads nothing.
const goHow = `export GOCACHE="$PWD/cache" GOPROXY=off GOTOOLCHAIN=local GOTELEMETRY=off GOFLAGS= CGO_ENABLED=0 GOWORK=off
# What compiles, links or vets anything is shown by -x; so much as that is left of it.
work() { grep -o '^[^ ]*/\(compile\|link\|vet\) .*-\(p\|o\) [^ ]*\|/vet ' | sed 's/.*-p //; s/^[^ ]*\/\(link\) .*/\1/' | sort | uniq -c; }
`

// goOwn calls Go with the modules that were downloaded to test this project.
const goOwn = `own() { GOMODCACHE="$(HOME=$(getent passwd "$(id -u)" | cut -d: -f6) go env GOMODCACHE)" "$@"; }
`

// goModule makes a module of 12 packages, each of which imports some of those before it.
const goModule = `mkdir mod; cd mod; printf 'module example.org/m\n\ngo 1.21\n' >go.mod; set +x
for i in $(seq 12); do
	mkdir p$i
	{ echo "package p$i"; echo 'import "math/bits"'; for j in $((i / 2)) $((i / 3)); do [ $j -gt 0 ] && [ $j != "$last" ] && echo "import \"example.org/m/p$j\"" || :; last=$j; done
		echo "func F(x uint) int { n := bits.Len(x)"; for j in $((i / 2)) $((i / 3)); do [ $j -gt 0 ] && echo "n += p$j.F(x + $i)" || :; done; echo "return n }"; } >p$i/p.go
done; set -x
`

// builds work by time stamps (make) or by the bytes of what they read (Go). What one host
// has built need not be built again on another, and what has changed must be, and only that.
var builds = []job{
	{name: "make -j", needs: []string{"make"}, parts: []onHost{
		{0, `echo 0 >h0; for h in 1 2 3 4 5 6 7; do echo $h >h$h; done; for i in $(seq $((100 * $2))); do echo "source $i" >$i.c; done
			{ printf 'OBJECTS = $(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $(OBJECTS)\n\tcat $(OBJECTS) >$@\n%%.o: %%.c\n\tcat $^ >$@\n'
				for i in $(seq $((100 * $2))); do echo "$i.o: h$((i % 8)) h$((i / 8 % 8))"; done; } >Makefile
			make -q || test $? = 1; make -j4 | wc -l; make -q; make -j4; sha256sum prog; ls | wc -l`},
		{1, `make -q; make -j4; echo new >>h3; make -q || test $? = 1`},
		{2, `make -j4 | sort >said; wc -l <said; sha256sum said; make -q; sha256sum prog
			for i in $(seq $((100 * $2))); do if [ $((i % 8)) = 3 ] || [ $((i / 8 % 8)) = 3 ]; then test $i.o -nt h3; tail -n 1 $i.o; else test $i.o -ot h3; fi; done | sort | uniq -c`},
		{0, `make -q; touch h5; cp 1.c kept; echo changed >>1.c; make -q || test $? = 1`},
		{1, `make -j4 | sort >said; wc -l <said; sha256sum said; make -q; grep -c changed prog; cp -p kept 1.c; make -q`},
		{2, `touch 1.c; make -j4 | sort; make -q; sha256sum prog; rm *.o; make -q || test $? = 1; make -j4 | wc -l; make -q; sha256sum prog`},
	}},
	{name: "go", needs: []string{"go"}, parts: []onHost{
		{0, goHow + goModule + `go build -trimpath -x ./... 2>&1 | work; go list -trimpath -export -f '{{.Export}}' ./... | sed 's/.*cache//' ; go vet -trimpath ./...; go build -trimpath -x ./... 2>&1 | work`},
		{1, goHow + `cd mod; go build -trimpath -x ./... 2>&1 | work; go list -trimpath -export -f '{{.Export}}' ./... | while read -r f; do sha256sum "$f" | sed 's/ .*//' | grep -qx "$(basename "$f" | sed 's/-d$//')"; done
			go vet -trimpath -x ./... 2>&1 | work; sed -i 's/return n/return n + 1/' p3/p.go`},
		{2, goHow + `cd mod; go build -trimpath -x ./... 2>&1 | work; go build -trimpath -x ./... 2>&1 | work; touch p3/p.go; go build -trimpath -x ./... 2>&1 | work`},
		{0, goHow + `cd mod; go build -trimpath -x ./... 2>&1 | work; go vet -trimpath -x ./... 2>&1 | work; go list -trimpath -export -f '{{.Export}}' ./... | sed 's/.*cache//'`},
	}},
	// This project itself, with some hundred packages of others, which lie where the user's Go keeps them.
	{name: "go, large", needs: []string{"go", "tar"}, long: true, parts: []onHost{
		{0, goHow + goOwn + `mkdir src; (cd "$1/.." && tar -c --exclude=.git --exclude=./bin .) | tar -x -C src; cd src; own go build -trimpath -buildvcs=false -o ../signet ./cmd/signet; sha256sum ../signet`},
		{1, goHow + goOwn + `cd src; own go build -trimpath -buildvcs=false -x -o ../again ./cmd/signet 2>&1 | work; cmp ../signet ../again
			echo '// changed' >>wire/doc.go; own go build -trimpath -buildvcs=false -x -o ../again ./cmd/signet 2>&1 | work; ../again version | wc -l`},
		{2, goHow + goOwn + `cd src; own go vet ./wire/...; own go build -trimpath -buildvcs=false -x -o ../third ./cmd/signet 2>&1 | work; cmp ../again ../third`},
	}},
}
