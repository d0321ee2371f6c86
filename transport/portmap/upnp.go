package portmap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

const (
	httpTimeout = 3 * time.Second // for one request in all
	searchTries = 3
	searchRetry = 500 * time.Millisecond
	// conflicts is how many external ports are tried where another machine has the first.
	conflicts = 4
)

// Faults of UPnP.
const (
	faultConflict      = 718 // ConflictInMappingEntry
	faultPermanentOnly = 725 // OnlyPermanentLeasesSupported
)

// upnp speaks UPnP to one gateway. One goroutine uses it.
type upnp struct {
	network   Network
	gateway   Gateway
	trusted   netip.Addr // the gateway's address: where URLs may lead (MAP-1)
	unsafe    unsafeSwitches
	service   service
	permanent bool // leases have no end: they go by Close alone
}

// discover finds what maps ports on the gateway. It changes nothing there.
func (u *upnp) discover(ctx context.Context) error {
	locations, err := u.search(ctx)
	if err != nil {
		return err
	}
	err = ErrNoAnswer
	for _, at := range locations {
		if u.service, err = u.describe(ctx, at); err == nil {
			return nil
		}
	}
	return err
}

// search returns the URLs of the first answers: all that came within a moment of the first.
func (u *upnp) search(ctx context.Context) ([]*url.URL, error) {
	pc, err := u.network.ListenPacket(u.gateway.Local)
	if err != nil {
		return nil, err
	}
	defer func() { _ = pc.Close() }()
	to := netip.AddrPortFrom(u.gateway.Address, ssdpPort)
	socket := &conn{PacketConn: pc, from: u.gateway.Address, any: u.unsafe.anySource}
	var found []*url.URL
	buffer := make([]byte, maxSSDP+1)
	for range searchTries {
		for _, target := range searchTargets {
			if _, err := pc.WriteTo(encodeSearch(to, target), net.UDPAddrFromAddrPort(to)); err != nil {
				return nil, err
			}
		}
		for until := time.Now().Add(searchRetry); ; {
			n, err := socket.read(ctx, until, buffer)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				break
			}
			at, err := decodeSearch(buffer[:n], u.trusted)
			if err != nil || len(found) == maxOptions {
				continue
			}
			if len(found) == 0 || found[0].String() != at.String() {
				found = append(found, at)
			}
			if soon := time.Now().Add(firstRetry / 5); soon.Before(until) {
				until = soon
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, ErrNoAnswer
}

// do sends one HTTP request, on a connection of its own to the gateway, and has the body read.
func (u *upnp) do(ctx context.Context, r *http.Request, read func(status int, body io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	t := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(address)
			if err != nil || u.trusted.IsValid() && to.Addr().Unmap() != u.trusted { // onGateway has seen to it; this is the last door
				return nil, errMalformed
			}
			return u.network.DialTCP(ctx, u.gateway.Local, to)
		},
	}
	defer t.CloseIdleConnections()
	response, err := t.RoundTrip(r.WithContext(ctx)) // no client: nobody follows redirects
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return read(response.StatusCode, response.Body)
}

func (u *upnp) describe(ctx context.Context, at *url.URL) (s service, err error) {
	r, err := http.NewRequest(http.MethodGet, at.String(), nil)
	if err != nil {
		return s, err
	}
	r.Header.Set("User-Agent", "") // none
	err = u.do(ctx, r, func(status int, body io.Reader) (err error) {
		if status != http.StatusOK {
			return errMalformed
		}
		s, err = decodeDescription(body, at, u.trusted)
		return err
	})
	return s, err
}

// call returns one value of a SOAP call's answer. A fault is a RefusedError.
func (u *upnp) call(ctx context.Context, action, want string, arguments ...argument) (value string, err error) {
	body := encodeCall(u.service.kind, action, arguments)
	r, err := http.NewRequest(http.MethodPost, u.service.control.String(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
	r.Header["SOAPAction"] = []string{`"` + u.service.kind + "#" + action + `"`}
	r.Header.Set("User-Agent", "")
	err = u.do(ctx, r, func(status int, body io.Reader) error {
		if status != http.StatusOK && status != http.StatusInternalServerError {
			return &RefusedError{UPnP, status}
		}
		v, fault, err := decodeCall(body, want)
		switch {
		case err != nil:
			return err
		case fault != 0 || status != http.StatusOK:
			return &RefusedError{UPnP, fault}
		}
		value = v
		return nil
	})
	return value, err
}

func (u *upnp) mapPort(ctx context.Context, w wanted) (Mapping, error) {
	text, err := u.call(ctx, "GetExternalIPAddress", "NewExternalIPAddress")
	if err != nil {
		return Mapping{}, err
	}
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() || !plausible(address) {
		return Mapping{}, errMalformed
	}
	port := w.external.Port()
	if port == 0 {
		port = w.port
	}
	for range conflicts {
		var fault *RefusedError
		switch err := u.add(ctx, w, port); {
		case err == nil:
			life := lifetime
			if u.permanent {
				life = 0
			}
			return w.mapping(UPnP, u.gateway, netip.AddrPortFrom(address, port), life), nil
		case !errors.As(err, &fault):
			return Mapping{}, err
		case fault.Code == faultPermanentOnly && !u.permanent:
			u.permanent = true
		case fault.Code == faultConflict:
			port = uint16(49152 + rand.N(16384)) // a dynamic port (RFC 6335)
		default:
			return Mapping{}, err
		}
	}
	return Mapping{}, &RefusedError{UPnP, faultConflict}
}

func (u *upnp) add(ctx context.Context, w wanted, port uint16) error {
	lease := int(lifetime / time.Second)
	if u.permanent {
		lease = 0
	}
	_, err := u.call(ctx, "AddPortMapping", "",
		argument{"NewRemoteHost", ""}, argument{"NewExternalPort", strconv.Itoa(int(port))}, argument{"NewProtocol", w.name()},
		argument{"NewInternalPort", strconv.Itoa(int(w.port))}, argument{"NewInternalClient", u.gateway.Local.String()},
		argument{"NewEnabled", "1"}, argument{"NewPortMappingDescription", w.name() + " " + strconv.Itoa(int(w.port))},
		argument{"NewLeaseDuration", strconv.Itoa(lease)})
	return err
}

func (u *upnp) unmap(ctx context.Context, m Mapping) {
	w := wanted{protocol: m.number()}
	_, _ = u.call(ctx, "DeletePortMapping", "",
		argument{"NewRemoteHost", ""}, argument{"NewExternalPort", strconv.Itoa(int(m.External.Port()))}, argument{"NewProtocol", w.name()})
}

func (u *upnp) protocol() Protocol { return UPnP }

// changed can't be told by UPnP: there is no epoch. The next renewal mends it.
func (u *upnp) changed(context.Context) bool { return false }
