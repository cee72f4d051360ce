# The SHA-256 of what is posted.
require "digest"

run lambda { |environment|
  sleep 0.1
  [200, { "content-type" => "text/plain" }, [Digest::SHA256.hexdigest(environment["rack.input"].read)]]
}
