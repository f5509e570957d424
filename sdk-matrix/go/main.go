// One client of the AWS SDK for Go, made once, that calls STS for as many seconds as it is told;
// 0: one call.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

type told struct {
	Calls      int     `json:"calls"`
	Failed     int     `json:"failed"`
	FirstError *string `json:"first_error"`
}

func main() {
	seconds, pause := duration(os.Args[1]), duration(os.Args[2])
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	client := sts.NewFromConfig(settings)
	end := time.Now().Add(seconds)
	var outcome told
	for {
		outcome.Calls++
		if _, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
			outcome.Failed++
			if outcome.FirstError == nil {
				text := err.Error()
				outcome.FirstError = &text
			}
		}
		if !time.Now().Add(pause).Before(end) {
			break
		}
		time.Sleep(pause)
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcome); err != nil {
		panic(err)
	}
}

func duration(text string) time.Duration {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return time.Duration(seconds * float64(time.Second))
}
