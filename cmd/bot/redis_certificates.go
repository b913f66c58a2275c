package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
)

// certificates are the files that a URL of Redis names, which go-redis has no
// options for: what Redis is to be known by, and what the bot shows of itself.
type certificates struct{ ca, cert, key string }

// takeCertificates takes the options out of the URL.
func takeCertificates(u *url.URL) (certificates, error) {
	query := u.Query()
	files := certificates{query.Get("tls_ca_file"), query.Get("tls_cert_file"), query.Get("tls_key_file")}
	switch {
	case files == certificates{}:
		return files, nil
	case u.Scheme != "rediss":
		return files, errors.New("names files of certificates, so it must begin with rediss://")
	case (files.cert == "") != (files.key == ""):
		return files, errors.New("must hold tls_cert_file and tls_key_file together")
	}
	for _, name := range []string{"tls_ca_file", "tls_cert_file", "tls_key_file"} {
		query.Del(name)
	}
	u.RawQuery = query.Encode()
	return files, nil
}

// use reads the files once, so that a mistake is told at the start. The bot's own
// certificate is read again for each connection: it may be renewed any day.
func (c certificates) use(config *tls.Config) error {
	if c.ca != "" {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			return fmt.Errorf("names a tls_ca_file that cannot be read: %w", withoutPath(err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return errors.New("names a tls_ca_file without a certificate: it has to be PEM")
		}
	}
	if c.cert == "" {
		return nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		return &pair, err
	}
	if _, err := load(nil); err != nil {
		return fmt.Errorf("names a tls_cert_file and a tls_key_file that are no pair: %w", withoutPath(err))
	}
	config.GetClientCertificate = load
	return nil
}

// withoutPath leaves out what the URL holds.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
