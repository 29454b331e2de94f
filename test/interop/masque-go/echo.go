package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/masque-go"
	"github.com/quic-go/quic-go"
	"github.com/yosida95/uritemplate/v3"
)

type echoResult struct {
	Tunnel      int    `json:"tunnel"`
	Status      int    `json:"status"`
	ProxyStatus string `json:"proxyStatus"`
	Sizes       []int  `json:"sizes"`
	Error       string `json:"error,omitempty"`
}

// errNoEcho says that a payload was sent and did not come back.
var errNoEcho = errors.New("no echo")

// roundTrip sends a random payload until its echo comes back: UDP may lose one.
func roundTrip(conn net.PacketConn, size int, attempts int, patience time.Duration) error {
	payload := make([]byte, size)
	_, _ = rand.Read(payload)
	buffer := make([]byte, 65536)
	for range attempts {
		if _, err := conn.WriteTo(payload, nil); err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for {
			n, _, err := conn.ReadFrom(buffer)
			if err != nil {
				break
			}
			if bytes.Equal(buffer[:n], payload) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w of %d bytes", errNoEcho, size)
}

// largest finds the largest payload that comes back: each side has a largest datagram of its own,
// which grows while it searches for the path's MTU.
func largest(conn net.PacketConn) (int, error) {
	for size := 1500; size > 0; size-- {
		err := roundTrip(conn, size, 2, 200*time.Millisecond)
		var tooLarge *quic.DatagramTooLargeError
		if errors.As(err, &tooLarge) || errors.Is(err, errNoEcho) {
			continue
		}
		return size, err
	}
	return 0, errors.New("no size fits")
}

func echoTunnel(client *masque.Client, template *uritemplate.Template, target, sizes string, index int) echoResult {
	result := echoResult{Tunnel: index}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, response, err := client.DialAddr(ctx, template, target)
	if response != nil {
		result.Status = response.StatusCode
		result.ProxyStatus = response.Header.Get("Proxy-Status")
	}
	if err != nil {
		result.Error = err.Error()
		return result
	}
	defer conn.Close()
	for _, size := range strings.Split(sizes, ",") {
		n, err := 0, error(nil)
		if size == "max" {
			n, err = largest(conn)
		} else if n, err = strconv.Atoi(size); err == nil {
			err = roundTrip(conn, n, 5, time.Second)
		}
		if err != nil {
			result.Error = err.Error()
			return result
		}
		result.Sizes = append(result.Sizes, n)
	}
	return result
}

func echo(client *masque.Client, template, target, sizes string, tunnels int) {
	parsed := uritemplate.MustNew(template)
	results := make([]echoResult, tunnels)
	var group sync.WaitGroup
	for i := range tunnels {
		group.Add(1)
		go func() {
			defer group.Done()
			results[i] = echoTunnel(client, parsed, target, sizes, i)
		}()
	}
	group.Wait()
	failed := 0
	for _, result := range results {
		report(result)
		if result.Error != "" {
			failed++
		}
	}
	_ = client.Close()
	if failed > 0 {
		fail("%d of %d tunnels failed", failed, tunnels)
	}
}
