-- wrk(1) speaks HTTP alone. But a request that looks like a reply comes back from an echo
-- server as one: so wrk can measure it. 64 bytes, as `load` sends. What wrk asks for first it
-- only looks at, to see whether it is a request: that one is.
local reply = "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" .. string.rep("x", 25)
local asked = 0
wrk.init = function()
    local request = wrk.format()
    wrk.request = function()
        asked = asked + 1
        return asked == 1 and request or reply
    end
end
