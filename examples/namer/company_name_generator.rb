BEGINNINGS = %w[Cloud Quantum Hyper Meta Blue Agile Omni].freeze
ENDINGS = %w[works scale forge metrics stack grid loop].freeze

def company_name
  "#{BEGINNINGS.sample}#{ENDINGS.sample}"
end

def page
  <<~HTML
    <!doctype html>
    <title>Namer</title>
    <style>body { font-family: sans-serif; margin: 6em; color: royalblue; }</style>
    <h1>#{company_name}</h1>
    <p>and its subsidiaries #{company_name} and #{company_name}</p>
  HTML
end
