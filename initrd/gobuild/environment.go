package gobuild

import (
	"cmp"
	"slices"
	"strings"
)

// passed lists the variables that come from the caller: where things are, not
// how to build. Modules are verified against go.sum wherever they come from.
func passed() []string {
	return []string{
		"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME",
		"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_DIR", "SSL_CERT_FILE",
	}
}

// environment is the whole environment of the compiler. Everything that changes
// the result is set; what is not listed (GOEXPERIMENT, GODEBUG, GOFIPS140, CC,
// GO_EXTLINK_ENABLED, a locale, a time zone) is not there.
func environment(caller []string, o Options) []string {
	goos, goarch := "linux", "amd64"
	if o.module {
		goos, goarch = "wasip1", "wasm"
	}
	env := []string{
		"CGO_ENABLED=0", // no C compiler, no libc: static
		"GOOS=" + goos,
		"GOARCH=" + goarch,
		"GOAMD64=v2", // recorded in the binary; every CPU with SNP or TDX has more
		"GOTOOLCHAIN=local",
		"GOENV=off", // no settings file of the user
		"GOWORK=off",
		// -trimpath keeps the folder out of the binary, -buildvcs=false
		// the state of a repository around it.
		"GOFLAGS=-trimpath -buildvcs=false -mod=readonly",
	}
	for _, variable := range caller {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(passed(), name) && (name != "GOPROXY" || !o.Offline) {
			env = append(env, variable)
		}
	}
	if o.Offline {
		env = append(env, "GOPROXY="+cmp.Or(o.Proxy, "off"))
	}
	return env
}
