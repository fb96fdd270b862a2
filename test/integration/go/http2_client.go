// Go's client of HTTP/2 in the clear: asks a Weir with weir-backend behind it for bodies both ways, many at once.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

type client struct {
	http http.Client
	url  string
}

func (c *client) get(path string, size int) error {
	answer, err := c.http.Get(c.url + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.StatusCode != 200 {
		return fmt.Errorf("%s: %s %s", path, answer.Proto, answer.Status)
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil && len(body) != size {
		err = fmt.Errorf("%s: %d bytes", path, len(body))
	}
	return err
}

// echo sends a body of unknown length with a trailer behind it.
func (c *client) echo(size int) error {
	data := make([]byte, size)
	rand.Read(data)
	request, err := http.NewRequest("POST", c.url+"/echo", io.MultiReader(bytes.NewReader(data)))
	if err != nil {
		return err
	}
	request.Trailer = http.Header{"X-Sum": {"1"}}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && !bytes.Equal(body, data) {
		err = fmt.Errorf("echo of %d: %d bytes came back", size, len(body))
	}
	return err
}

func (c *client) run() error {
	jobs := []func() error{}
	for i := 0; i < 300; i++ {
		size := i * 100
		jobs = append(jobs, func() error { return c.get(fmt.Sprintf("/bytes?size=%d", size), size) })
	}
	for i := 0; i < 30; i++ {
		size := i * 10_000
		jobs = append(jobs, func() error { return c.echo(size) })
	}
	jobs = append(jobs, func() error { return c.get("/bytes?size=10000000", 10_000_000) })
	jobs = append(jobs, func() error { return c.echo(5_000_000) })
	failures := make(chan error, len(jobs))
	var all sync.WaitGroup
	for _, job := range jobs {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := job(); err != nil {
				failures <- err
			}
		}()
	}
	all.Wait()
	close(failures)
	return <-failures
}

func main() {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	c := client{http.Client{Transport: &http.Transport{Protocols: &protocols}}, os.Args[1]}
	if err := c.run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ok")
}
