-- What each product of a day has brought in. The day is a parameter, bound by the driver; templates work as well.
SELECT product, SUM(amount) AS revenue
FROM orders
WHERE day = %(day)s
GROUP BY product
HAVING SUM(amount) > {{ params.least }}
ORDER BY revenue DESC
