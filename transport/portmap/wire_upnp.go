package portmap

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// The texts of UPnP: SSDP, the description of a device, and SOAP (UPnP Device Architecture 1.1, WANIPConnection 1 and 2).

const (
	ssdpPort   = 1900
	maxSSDP    = 2048      // bytes of an answer
	maxBody    = 128 << 10 // bytes of a description or SOAP answer
	maxDepth   = 32        // of XML
	maxText    = 1024      // bytes of one element's text
	maxOptions = 8         // services looked at
)

// searchTargets are the kinds of device looked for.
var searchTargets = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
}

// services are those by which ports are mapped, the best first.
var services = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
}

// encodeSearch is M-SEARCH, sent to the gateway alone.
func encodeSearch(gateway netip.AddrPort, target string) []byte {
	return []byte("M-SEARCH * HTTP/1.1\r\nHOST: " + gateway.String() + "\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + target + "\r\n\r\n")
}

// decodeSearch returns the URL of the description. It must be on the gateway.
func decodeSearch(b []byte, gateway netip.Addr) (*url.URL, error) {
	if len(b) > maxSSDP {
		return nil, errMalformed
	}
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return nil, errMalformed
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, errMalformed
	}
	return onGateway(nil, r.Header.Get("Location"), gateway)
}

// onGateway reads a URL, which may be relative to base, and refuses it if it leads anywhere but to the gateway by plain
// HTTP, as UPnP does (MAP-1). Without a gateway, in tests alone, it may lead anywhere.
func onGateway(base *url.URL, text string, gateway netip.Addr) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || text == "" || len(text) > maxText {
		return nil, errMalformed
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	host, err := netip.ParseAddr(u.Hostname())
	if err != nil || gateway.IsValid() && host.Unmap() != gateway || u.Scheme != "http" || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("%w: an address that isn't the router's", errMalformed)
	}
	if u.Port() != "" {
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return nil, errMalformed
		}
	}
	u.Fragment = ""
	return u, nil
}

// service is what maps ports.
type service struct {
	kind    string
	control *url.URL
}

// decodeDescription finds the best service in a device's description, whose URL is given.
func decodeDescription(r io.Reader, at *url.URL, gateway netip.Addr) (service, error) {
	base, found, kind, control := at, map[string]string{}, "", ""
	err := walk(r, func(path []string, text string) error {
		switch leaf := path[len(path)-1]; {
		case leaf == "URLBase" && len(path) == 2:
			b, err := onGateway(at, text, gateway)
			base = b
			return err
		case leaf == "serviceType":
			kind = text
		case leaf == "controlURL":
			control = text
		case leaf == "service":
			if kind != "" && control != "" && len(found) < maxOptions && found[kind] == "" {
				found[kind] = control
			}
			kind, control = "", ""
		}
		return nil
	})
	if err != nil {
		return service{}, err
	}
	for _, s := range services {
		if text := found[s]; text != "" {
			u, err := onGateway(base, text, gateway)
			return service{s, u}, err
		}
	}
	return service{}, errNoService
}

var errNoService = errors.New("portmap: the device maps no ports")

// walk calls f at the end of every element of a document, with the names of the elements it is in, itself last, and its
// own text. The document must be well-formed, without a document type, and within the limits.
func walk(r io.Reader, f func(path []string, text string) error) error {
	limited := &io.LimitedReader{R: r, N: maxBody + 1}
	d := xml.NewDecoder(limited)
	var path []string
	var texts [][]byte
	for ended := false; ; {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && ended && limited.N > 0 {
			return nil
		}
		if err != nil || limited.N <= 0 {
			return errMalformed
		}
		switch t := token.(type) {
		case xml.StartElement:
			if ended || len(path) == maxDepth {
				return errMalformed
			}
			path, texts = append(path, t.Name.Local), append(texts, nil)
		case xml.EndElement:
			if len(path) == 0 || path[len(path)-1] != t.Name.Local {
				return errMalformed
			}
			if err := f(path, string(bytes.TrimSpace(texts[len(texts)-1]))); err != nil {
				return err
			}
			path, texts = path[:len(path)-1], texts[:len(texts)-1]
			ended = len(path) == 0
		case xml.CharData:
			if len(path) == 0 {
				continue
			}
			if own := &texts[len(texts)-1]; len(*own)+len(t) <= maxText {
				*own = append(*own, t...)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return errMalformed
			}
		case xml.Directive:
			return errMalformed // a document type: entities and the like
		}
	}
}

// argument is one of a SOAP call.
type argument struct{ name, value string }

// encodeCall is the body of a SOAP call.
func encodeCall(kind, action string, arguments []argument) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0"?>` + "\r\n" + `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>`)
	fmt.Fprintf(&b, `<u:%s xmlns:u="%s">`, action, kind)
	for _, a := range arguments {
		fmt.Fprintf(&b, "<%s>", a.name)
		_ = xml.EscapeText(&b, []byte(a.value))
		fmt.Fprintf(&b, "</%s>", a.name)
	}
	fmt.Fprintf(&b, "</u:%s></s:Body></s:Envelope>", action)
	return b.Bytes()
}

// decodeCall returns one value of the answer, or the code of the fault (0: none).
func decodeCall(r io.Reader, want string) (value string, fault int, err error) {
	err = walk(r, func(path []string, text string) error {
		switch path[len(path)-1] {
		case want:
			value = text
		case "errorCode":
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return errMalformed
			}
			fault = int(n)
		}
		return nil
	})
	return value, fault, err
}
