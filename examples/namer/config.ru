# Names for companies that do not exist yet.
require_relative "company_name_generator"

run ->(_environment) { [200, { "content-type" => "text/html" }, [page]] }
