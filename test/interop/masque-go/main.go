// An unrelated MASQUE client for the interoperability tests: masque-go over quic-go.
//
//	masque-go-client serve -cert F -key F [-packet N] [-listen HOST:PORT] an HTTP/3 origin, on loopback by default: /bytes?n=N
//	masque-go-client echo  -template T -ca F -target HOST:PORT [-sizes 0,1,1200,max] [-tunnels N]
//	masque-go-client fetch -template T -ca F -origin HOST:PORT -bytes N
//	masque-go-client get   -ca F -origin HOST:PORT -bytes N [-packet N] [-seconds N] the same without a proxy
//
// -packet is the size of QUIC's first packets; with 1200 the search for a larger size is off as well.
// Each prints one JSON object a line on standard output and exits 0 when all went well.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/quic-go/masque-go"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func report(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		fail("cannot report: %v", err)
	}
	fmt.Println(string(line))
}

// trusting makes a TLS configuration that trusts the certificates of one PEM file.
func trusting(caFile string) *tls.Config {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		fail("cannot read the CA file: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		fail("no certificate in %s", caFile)
	}
	return &tls.Config{RootCAs: roots, NextProtos: []string{http3.NextProtoH3}}
}

func newClient(caFile string) *masque.Client {
	return &masque.Client{
		TLSClientConfig: trusting(caFile),
		QUICConfig:      &quic.Config{EnableDatagrams: true, InitialPacketSize: 1350},
	}
}

// packets makes a QUIC configuration whose first packets have this size.
func packets(size uint) *quic.Config {
	return &quic.Config{InitialPacketSize: uint16(size), DisablePathMTUDiscovery: size == 1200}
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: serve | echo | fetch | get")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	template := flags.String("template", "", "URI template of the proxy")
	ca := flags.String("ca", "", "PEM file with the certificates to trust")
	target := flags.String("target", "", "UDP echo target")
	sizes := flags.String("sizes", "0,1,1200,max", "payload sizes")
	tunnels := flags.Int("tunnels", 1, "tunnels on the one connection")
	origin := flags.String("origin", "", "HTTP/3 origin behind the proxy")
	count := flags.Int64("bytes", 10<<20, "bytes to fetch")
	packet := flags.Uint("packet", 1280, "bytes of QUIC's first packets")
	listen := flags.String("listen", "127.0.0.1:0", "where the origin listens")
	seconds := flags.Float64("seconds", 0, "stop fetching after this time")
	cert := flags.String("cert", "", "certificate of the origin")
	key := flags.String("key", "", "key of the origin")
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail("%v", err)
	}
	switch os.Args[1] {
	case "serve":
		serve(*cert, *key, *listen, packets(*packet))
	case "echo":
		echo(newClient(*ca), *template, *target, *sizes, *tunnels)
	case "fetch":
		through(newClient(*ca), trusting(*ca), *template, *origin, *count)
	case "get":
		fetch(&http3.Transport{TLSClientConfig: trusting(*ca), QUICConfig: packets(*packet)}, *origin, *count, *seconds)
	default:
		fail("unknown mode %s", os.Args[1])
	}
}
