module firstlight.dev/lab/images

go 1.26.6

tool (
	firstlight.dev/lab/images/cmd/json-mock
	firstlight.dev/lab/images/cmd/node-init
	firstlight.dev/lab/images/cmd/pause
	firstlight.dev/lab/images/cmd/runc-shim
	firstlight.dev/lab/images/cmd/stand-in
)
