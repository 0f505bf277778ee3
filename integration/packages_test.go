package integration

// npmHow is how npm is called here: from a registry on the host's own loopback, or from its
// cache on the mount, and never from elsewhere.
const npmHow = `export npm_config_cache="$PWD/cache" npm_config_registry=http://127.0.0.1:4873/ npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
sums() { (cd app/node_modules; find . ! -name .package-lock.json \( -type f -printf '%p %m %s\n' -o -printf '%p %y %l\n' \) | sort; find . -type f ! -name .package-lock.json -print0 | sort -z | xargs -0 sha256sum) | sha256sum; }
`

// npmPublish makes three packages of $2 times 10 modules, of which one needs the next, and
// a registry that has them.
const npmPublish = `mkdir -p registry/tar source app; n=$((10 * $2)); set +x
for p in leaf mid tool; do
	mkdir source/$p; needs=
	case $p in mid) needs='"leaf":"^1.0.0"';; tool) needs='"mid":"^1.0.0"';; esac
	printf '{"name":"%s","version":"1.0.0","main":"index.js","bin":{"run-%s":"cli.js"},"dependencies":{%s}}' $p $p "$needs" >source/$p/package.json
	for i in $(seq $n); do echo "module.exports = $i" >source/$p/m$i.js; done
	echo "let s = 0; for (let i = 1; i <= $n; i++) s += require('./m' + i); module.exports = '$p ' + s" >source/$p/index.js
	printf '#!/usr/bin/env node\nconsole.log(require("."))\n' >source/$p/cli.js
	(cd source/$p; npm pack --silent --pack-destination ../../registry/tar)
	sum=$(python3 -c 'import base64, hashlib, sys; print(base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' registry/tar/$p-1.0.0.tgz)
	printf '{"name":"%s","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"%s","version":"1.0.0","bin":{"run-%s":"cli.js"},"dependencies":{%s},"dist":{"tarball":"http://127.0.0.1:4873/tar/%s-1.0.0.tgz","integrity":"sha512-%s"}}}}' \
		$p $p $p "$needs" $p "$sum" >registry/$p
done
set -x; echo '{"name":"app","version":"1.0.0"}' >app/package.json
`

// packages are installed from a registry on one host, and then on others from the cache
// that npm has made on the mount, without any registry.
var packages = []job{
	{name: "npm", needs: []string{"node", "npm", "python3"}, long: true, parts: []onHost{
		{0, npmHow + npmPublish + `python3 -m http.server -b 127.0.0.1 -d registry 4873 >http.log 2>&1 & trap "kill $!" EXIT
			until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 4873))' 2>/dev/null; do sleep 0.05; done
			(cd app; npm install --silent tool; node -e 'console.log(require("tool"), require("mid"), require("leaf"))'); sums >before; cat before`},
		{1, npmHow + `cd app; node_modules/.bin/run-mid; npm ls --all | tail -n +2; rm -rf node_modules; test ! -e node_modules
			npm ci --silent --offline; node_modules/.bin/run-tool; cd ..; sums | cmp - before; npm cache verify | grep -v Finished`},
		{2, npmHow + `rm -rf app/node_modules app/package-lock.json; cd app; npm install --silent --offline; cd ..; sums | cmp - before; app/node_modules/.bin/run-leaf
			cd app; npm uninstall --silent tool; npm install --silent --offline leaf; ls node_modules`},
		{0, npmHow + `cd app; node -e 'console.log(require("leaf"))'; if node -e 'require("tool")' 2>/dev/null; then exit 1; fi; npm ls --all | tail -n +2; npm cache verify | grep -v Finished`},
	}},
}
