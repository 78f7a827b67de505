//go:build linux

package daemontest

import (
	"bytes"
	"context"
	bigendian "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What the proxy does to a request.
const (
	killBeforeSend   = "kill before send"  // the daemon dies; the service never sees the request
	killAfterSend    = "kill after send"   // the service has acted; the daemon dies before it is answered
	killAfterAnswer  = "kill after answer" // the daemon dies with the answer in its hands
	dropBeforeSend   = "drop before send"  // the connection is cut; the service never sees the request
	dropAnswer       = "drop answer"       // the connection is cut after the service has acted
	throttleRequest  = "throttle"          // ThrottlingException
	serviceFault     = "service fault"     // HTTP 500
	expired          = "expired token"     // ExpiredTokenException
	slowRequest      = "slow"              // nothing but a delay
	everyOperation   = ""
	stepsHost        = "stepfunctions.test" // the name under which a daemon reaches the proxy
	credentialPrefix = "Credential="
)

// apiFault hits count requests of an operation after skip others, each after a delay.
type apiFault struct {
	operation, what string
	skip, count     int
	delay           time.Duration
}

// proxy stands between a daemon and its Step Functions service. It knows operations.
type proxy struct {
	backend string
	server  *httptest.Server
	client  *http.Client
	victim  atomic.Pointer[daemon] // whom it kills

	mu      sync.Mutex
	faults  []*apiFault
	key     string // the access key that has not expired; "" is any
	calls   map[string]int
	hits    map[string]int // faults that hit
	refused int            // calls that the service itself has throttled
}

func newProxy(t testing.TB, backend string) *proxy {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	p := &proxy{backend: backend, client: &http.Client{Transport: transport}, calls: map[string]int{}, hits: map[string]int{}}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// endpoint is the proxy's URL under a name that must be resolved.
func (p *proxy) endpoint() string {
	_, port, _ := net.SplitHostPort(p.server.Listener.Addr().String())
	return "http://" + net.JoinHostPort(stepsHost, port)
}

func (p *proxy) arm(faults ...apiFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range faults {
		p.faults = append(p.faults, &f)
	}
}

// disarm ends the faults that kill.
func (p *proxy) disarm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = slices.DeleteFunc(p.faults, func(f *apiFault) bool { return strings.HasPrefix(f.what, "kill") })
}

// calm ends all faults.
func (p *proxy) calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// expire makes every access key but this one an expired one.
func (p *proxy) expire(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = key
}

// next is the fault of a request, nil for none. Each request counts for one fault only.
func (p *proxy) next(operation, authorization string) *apiFault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[operation]++
	if p.key != "" && !strings.Contains(authorization, credentialPrefix+p.key+"/") {
		p.hits[expired]++
		return &apiFault{what: expired}
	}
	for i, f := range p.faults {
		if f.operation != everyOperation && f.operation != operation {
			continue
		}
		if f.skip > 0 {
			f.skip--
			continue
		}
		if f.count--; f.count <= 0 {
			p.faults = append(p.faults[:i:i], p.faults[i+1:]...)
		}
		p.hits[f.what]++
		hit := *f
		return &hit
	}
	return nil
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the daemon has died in the middle of it
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	f := p.next(operation, r.Header.Get("Authorization"))
	if f == nil {
		f = &apiFault{}
	}
	if f.delay > 0 {
		select {
		case <-time.After(f.delay):
		case <-r.Context().Done(): // it may have lost patience; what it sent is under way all the same
		}
	}
	switch f.what {
	case throttleRequest:
		refuse(w, http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
	case serviceFault:
		refuse(w, http.StatusInternalServerError, "InternalFailure", "on purpose")
	case expired:
		refuse(w, http.StatusBadRequest, "ExpiredTokenException", "The security token included in the request is expired")
	case dropBeforeSend:
		cut(w)
	case killBeforeSend:
		p.kill()
		cut(w)
	default:
		p.forward(w, r, body, f.what)
	}
}

// forward lets the service act, and answers or not.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request, body []byte, what string) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, p.backend+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		refuse(w, http.StatusBadGateway, "BadGateway", err.Error())
		return
	}
	req.Header = r.Header.Clone()
	res, err := p.client.Do(req)
	if err != nil {
		refuse(w, http.StatusBadGateway, "BadGateway", err.Error())
		return
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil || what == dropAnswer:
		cut(w)
		return
	case what == killAfterSend:
		p.kill()
		cut(w)
		return
	}
	if res.StatusCode == http.StatusBadRequest && bytes.Contains(answer, []byte("ThrottlingException")) {
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
	}
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(answer) // it may have hung up
	if what == killAfterAnswer {
		_ = http.NewResponseController(w).Flush() // likewise
		p.kill()
	}
}

// kill is kill -9 of the daemon, if there is one.
func (p *proxy) kill() {
	if d := p.victim.Swap(nil); d != nil {
		d.kill()
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message) // it may have hung up
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close() // nothing depends on a clean end
	}
}

// nameServer is a DNS server that knows stepsHost, slowly.
type nameServer struct {
	conn  net.PacketConn
	delay atomic.Int64
	asked atomic.Int64
	done  sync.WaitGroup
}

func newNameServer(t testing.TB) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn}
	s.done.Go(s.serve)
	t.Cleanup(func() {
		_ = conn.Close() // it ends serve
		s.done.Wait()
	})
	return s
}

func (s *nameServer) addr() string { return s.conn.LocalAddr().String() }

func (s *nameServer) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 12 {
			continue
		}
		s.asked.Add(1)
		question := bytes.Clone(buf[:n])
		s.done.Go(func() {
			<-time.After(time.Duration(s.delay.Load()))
			_, _ = s.conn.WriteTo(answerTo(question), from) // who asked may have gone
		})
	}
}

// answerTo answers 127.0.0.1 to a question for the address of anything, and nothing to other questions.
func answerTo(q []byte) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5 // the root label, type and class
	if end > len(q) {
		return nil
	}
	out := bytes.Clone(q[:end])
	out[2], out[3] = 0x84, 0                  // an authoritative answer without error
	bigendian.BigEndian.PutUint16(out[4:], 1) // one question
	bigendian.BigEndian.PutUint16(out[6:], 0) // no answer yet
	bigendian.BigEndian.PutUint32(out[8:], 0) // nothing else
	const typeA = 1
	if bigendian.BigEndian.Uint16(q[end-4:]) != typeA {
		return out
	}
	bigendian.BigEndian.PutUint16(out[6:], 1)
	// The name of the question, type A, class IN, 0 s to live, four bytes.
	return append(out, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
}
