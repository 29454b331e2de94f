package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/quic-go/masque-go"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/yosida95/uritemplate/v3"
)

// content makes the origin's bytes: a fixed sequence, so that both ends can hash it.
type content struct{ state uint32 }

func (c *content) Read(p []byte) (int, error) {
	for i := range p {
		c.state = c.state*1664525 + 1013904223
		p[i] = byte(c.state >> 24)
	}
	return len(p), nil
}

func serve(cert, key, listen string, quicConfig *quic.Config) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		fail("cannot load the certificate: %v", err)
	}
	socket, err := net.ListenPacket("udp", listen)
	if err != nil {
		fail("cannot listen: %v", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/bytes", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		hash := sha256.New()
		_, _ = io.CopyN(hash, &content{}, n)
		w.Header().Set("X-Sha256", hex.EncodeToString(hash.Sum(nil)))
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.CopyN(w, &content{}, n)
	})
	server := http3.Server{
		Handler:    mux,
		TLSConfig:  http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}}),
		QUICConfig: quicConfig,
	}
	report(map[string]string{"listening": socket.LocalAddr().String()})
	fail("%v", server.Serve(socket))
}

// addressed gives masque-go's packets the peer address that quic-go expects to see.
type addressed struct {
	net.PacketConn
	peer net.Addr
}

func (a *addressed) ReadFrom(p []byte) (int, net.Addr, error) {
	n, _, err := a.PacketConn.ReadFrom(p)
	return n, a.peer, err
}

func through(client *masque.Client, trust *tls.Config, template, origin string, count int64) {
	peer, err := net.ResolveUDPAddr("udp", origin)
	if err != nil {
		fail("bad origin: %v", err)
	}
	transport := &http3.Transport{
		TLSClientConfig: trust,
		Dial: func(ctx context.Context, _ string, tlsConf *tls.Config, quicConf *quic.Config) (*quic.Conn, error) {
			conn, _, err := client.Dial(ctx, uritemplate.MustNew(template), peer)
			if err != nil {
				return nil, err
			}
			inner := quicConf.Clone()
			inner.DisablePathMTUDiscovery = true
			return quic.DialEarly(ctx, &addressed{conn, peer}, peer, tlsConf, inner)
		},
	}
	fetch(transport, origin, count, 0)
}

// fetch stops after seconds, if they are not 0, and then hashes the part of the content that arrived.
func fetch(transport *http3.Transport, origin string, count int64, seconds float64) {
	begin := time.Now()
	timeout := time.Duration(seconds * float64(time.Second))
	client := &http.Client{Transport: transport, Timeout: timeout}
	response, err := client.Get(fmt.Sprintf("https://%s/bytes?n=%d", origin, count))
	if err != nil {
		fail("request failed: %v", err)
	}
	answered := time.Now()
	hash := sha256.New()
	n, err := io.Copy(hash, response.Body)
	took := time.Since(begin)
	expected := response.Header.Get("X-Sha256")
	if err != nil {
		if timeout == 0 || took < timeout {
			fail("reading failed after %d bytes: %v", n, err)
		}
		part := sha256.New()
		_, _ = io.CopyN(part, &content{}, n)
		expected = hex.EncodeToString(part.Sum(nil))
	}
	report(map[string]any{
		"status":   response.StatusCode,
		"bytes":    n,
		"sha256":   hex.EncodeToString(hash.Sum(nil)),
		"expected": expected,
		"seconds":  took.Seconds(),
		"content":  time.Since(answered).Seconds(),
	})
}
